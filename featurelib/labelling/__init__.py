"""What to label next, and which labels to look at again.

`candidates` tells which objects may be chosen, `shapes` makes them comparable, `expected_errors` weighs them by a run's
predictions, `choice` chooses, `suggestions` gives the reasons, `review` names labels that are probably mistakes, and
`queue` is the file with the result.
"""
