// How far second marks are from the first ones: the error of a single mark, below which no measured error can be.

import { getJson } from "./api.js";

/** Show the distance between the dataset's repeats. */
export async function showRepeats() {
  const { repeats } = await getJson("/labels?limit=1");
  const text = document.getElementById("label-repeats");
  text.hidden = !repeats;
  if (!repeats) return;
  const [apart, floor] = [repeats.distance_mm, repeats.floor_mm].map((value) => value.toFixed(2));
  text.textContent = `${repeats.n} repeated marks of ${repeats.objects} objects: median ${apart} mm apart, so ${floor} mm for one mark`;
}
