"""The rules of a dataset: each is a function from the survey to findings; RULES has all of them in order."""

from collections.abc import Callable, Iterable

from featurelib.validation.dataset.finding import SEVERITIES, Finding
from featurelib.validation.dataset.rules import (
    appearance,
    completeness,
    duplicates,
    files,
    labels,
    mistakes,
    poses,
    sizes,
)
from featurelib.validation.dataset.survey import Survey

Rule = Callable[[Survey], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    files.faulty_rows,
    files.unreadable_meshes,
    files.labels_without_a_mesh,
    files.meshes_without_a_label,
    files.unused_files,
    appearance.repaired_meshes,
    appearance.flat_images,
    sizes.size_of_the_dataset,
    sizes.wrong_units,
    sizes.stray_parts,
    sizes.frame_of_the_images,
    sizes.cut_by_the_frame,
    poses.axes_of_the_dataset,
    poses.axes_without_labels,
    poses.landmarks_off_the_middle,
    poses.turned_objects,
    poses.swapped_sides,
    completeness.objects_without_a_label,
    completeness.rarely_labelled_landmarks,
    labels.unplaced_landmarks,
    labels.landmarks_in_one_place,
    labels.copied_labels,
    labels.labels_of_another_frame,
    labels.landmarks_off_the_surface,
    labels.labels_off_the_surface,
    labels.misplaced_landmarks,
    mistakes.mistaken_labels,
    labels.occluded_landmarks,
    duplicates.unlike_the_others,
    duplicates.same_content,
    duplicates.same_shape,
    duplicates.small_splits,
    completeness.left_out,
)


def check(survey: Survey) -> list[Finding]:
    """Return the findings of all rules: errors first, then in the order of rules and objects."""
    found = [finding for rule in RULES for finding in rule(survey)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
