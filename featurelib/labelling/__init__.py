"""What to label next, and which labels are probably mistakes.

`candidates` tells which objects may be chosen, `shapes` makes them comparable, `expected_errors` weighs them by a run's
predictions, `choice` chooses, and `suggestions` gives the reasons.

`leave_one_out` places each landmark by the object's other ones, `closeups` by the surface around it, `deviations`
compares labels with these places and with the object's surface, and `suspects` names the mistakes. `review` lists them.

`queue` is the file with both, which the viewer reads.
"""
