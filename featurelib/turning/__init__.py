"""Alignment: how objects that stand every way have to be turned to stand as one of them does.

`axes` (named by the user), `turns` (found by registration, with what speaks against each), `sheet` (a page to look at).
"""
