// Mesh files of the user: dropped on the page or chosen in a dialog.

/** Call `onFile` with each file that is dropped or chosen. */
export function acceptDrops(onFile) {
  const [veil, input] = ["veil", "file"].map((id) => document.getElementById(id));
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  let depth = 0; // of the elements under the pointer: each fires its own events

  const show = (change) => {
    depth = Math.max(0, depth + change);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => hasFile(event) && show(1));
  addEventListener("dragleave", (event) => hasFile(event) && show(-1));
  addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    show(-depth);
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });

  document.getElementById("try").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const [file] = input.files;
    input.value = ""; // the same file may be chosen again
    if (file) onFile(file);
  });
}
