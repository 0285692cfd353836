// Copies the parts of three.js that the page uses into vendor/, which the server and the wheel contain: a server needs
// no Node.js. Browsers resolve the bare name "three" only by an inline import map, so each file imports a relative path.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const three = join(here, "node_modules", "three");
const vendor = join(here, "vendor");
const addons = [
  "controls/OrbitControls.js",
  "loaders/GLTFLoader.js",
  "utils/BufferGeometryUtils.js",
  "utils/SkeletonUtils.js",
];

rmSync(vendor, { recursive: true, force: true });
mkdirSync(vendor);
for (const name of ["three.module.js", "three.core.js"]) cpSync(join(three, "build", name), join(vendor, name));
cpSync(join(three, "LICENSE"), join(vendor, "LICENSE"));
for (const name of addons) {
  const target = join(vendor, name);
  mkdirSync(dirname(target), { recursive: true });
  const module = relative(dirname(target), join(vendor, "three.module.js"));
  const text = readFileSync(join(three, "examples", "jsm", name), "utf8");
  writeFileSync(target, text.replaceAll(/from 'three';/g, `from '${module}';`));
}
