"""The networks and the geometry around them: detector, fusion, lifter, refiner, uncertainty, prediction."""
