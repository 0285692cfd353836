"""How far off a prediction may be, and whether to accept it."""
