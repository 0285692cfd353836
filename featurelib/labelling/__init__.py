"""Which labels are probably mistakes.

`leave_one_out` places each landmark by the object's other ones, `closeups` by the surface around it, `evidence`
compares labels with these places and with the object's surface, and `suspects` names the mistakes.
"""
