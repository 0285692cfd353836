"""Recipes for a number of samples."""

from featurelib.models.detector.recipe import MOST_EPOCHS, RECIPES, Recipe


def test_few_samples_get_more_epochs():
    """There are at least least_steps steps, but at most MOST_EPOCHS epochs."""
    recipe = Recipe(epochs=8, batch_size=32, least_steps=1200, steps=1)

    assert (recipe.for_samples(5148).epochs, recipe.for_samples(5148).steps) == (8, 8 * 5148 // 32)
    assert recipe.for_samples(1280).epochs == 30
    assert recipe.for_samples(100).epochs == MOST_EPOCHS
    assert recipe.for_samples(1).epochs == MOST_EPOCHS


def test_a_recipe_without_least_steps_does_not_change():
    """Its number of epochs does not depend on the samples."""
    assert RECIPES["regression"].for_samples(10) == RECIPES["regression"]
