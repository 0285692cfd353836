"""How large the error of a prediction may be, and whether to accept it, from predictions for validation objects.

`quality` scores a prediction without labels, `conformal` computes error bars, `acceptance` limits the scores, and
`model` fits both and applies them.
"""
