"use strict";

const about = JSON.parse(document.getElementById("about").textContent);
const part = (id) => document.getElementById(id);
const drawing = part("drawing");
const ink = drawing.getContext("2d", {willReadFrequently: true});
const STEP = 10; // pixels that an arrow key moves the pen

// Questions: one at a time; of those that wait only the newest is asked.

let isAsking = false, waiting = null, newest = null;

async function ask(question) {
  waiting = newest = question;
  if (isAsking) return;
  isAsking = true;
  while (waiting) {
    const current = waiting;
    waiting = null;
    const answer = await answerTo(current);
    if (answer && current === newest) show(answer); // clear wants none
  }
  isAsking = false;
}

async function answerTo(question) {
  const {body, kind, path} = question();
  try {
    const response = await fetch(path, {method: "POST", headers: {"Content-Type": kind}, body});
    const answer = await response.json();
    say(answer.problem || "");
    return response.ok ? answer : null;
  } catch {
    say("The server does not answer: is fastcnn demo still running?");
    return null;
  }
}

function grey() {
  const pixels = ink.getImageData(0, 0, drawing.width, drawing.height).data;
  const bytes = Uint8Array.from({length: drawing.width * drawing.height}, (_, index) => pixels[4 * index]);
  return {body: bytes, kind: "application/octet-stream", path: "/predict"};
}

function askFile(file) {
  if (file.size > about.most_bytes) {
    say(`${file.name} has ${file.size.toLocaleString("en")} bytes, expected at most ${about.most_bytes.toLocaleString("en")}.`);
    return;
  }
  wipe();
  const path = part("invert").checked ? "/predict?invert" : "/predict";
  ask(() => ({body: file, kind: file.type.startsWith("image/") ? file.type : "image/unknown", path}));
}

// Answers.

function show(answer) {
  const best = answer.answers.find((one) => one.best);
  const words = part("answer");
  words.className = best ? "" : "empty";
  words.textContent = best ? best.class : "No answer: the model's outputs are not finite.";
  if (best) words.append(" ", element("small", percent(best.probability)));
  part("bars").tBodies[0].replaceChildren(...answer.answers.map(bar));
  part("time").textContent = `${(1000 * answer.seconds).toFixed(1)} ms for this prediction`;
  paint(part("seen").querySelector("canvas"), answer.image);
  part("seen").hidden = false;
  part("maps").replaceChildren(...answer.maps.flatMap(layer));
}

function bar(answer) {
  const row = document.createElement("tr");
  row.className = answer.best ? "best" : "";
  const name = element("th", answer.class), track = element("td"), share = element("td", percent(answer.probability));
  name.scope = "row";
  name.title = answer.class;
  share.className = "number";
  const outer = element("div"), inner = element("div");
  outer.className = "track";
  inner.style.width = `${100 * answer.probability}%`;
  outer.append(inner);
  track.append(outer);
  row.append(name, track, share);
  return row;
}

function layer(maps) {
  const shown = maps.channels.length < maps.of ? `${maps.channels.length} of ${maps.of} channels` : `${maps.of} channels`;
  const channels = element("div");
  channels.className = "channels";
  channels.setAttribute("role", "img");
  channels.setAttribute("aria-label", `${shown} of layer ${maps.layer}`);
  channels.append(...maps.channels.map((channel) => paint(document.createElement("canvas"), channel)));
  return [element("h3", `${maps.layer}: ${maps.words}, ${shown}`), channels];
}

function paint(canvas, picture) {
  const bytes = Uint8Array.from(atob(picture.bytes), (letter) => letter.charCodeAt(0));
  canvas.width = picture.width;
  canvas.height = picture.height;
  const pixels = new ImageData(picture.width, picture.height);
  for (let index = 0; index < picture.width * picture.height; index++) {
    for (let colour = 0; colour < 3; colour++) {
      pixels.data[4 * index + colour] = bytes[picture.channels * index + (picture.channels === 3 ? colour : 0)];
    }
    pixels.data[4 * index + 3] = 255;
  }
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas;
}

function element(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;
const say = (problem) => { part("problem").textContent = problem; };

// Drawing.

function wipe() {
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, drawing.width, drawing.height);
}

function clear() {
  wipe();
  waiting = newest = null;
  say("");
  part("answer").className = "empty";
  part("answer").textContent = "Draw something.";
  part("bars").tBodies[0].replaceChildren();
  part("time").textContent = "";
  part("seen").hidden = true;
  part("maps").replaceChildren();
}

function stroke(from, to) {
  ink.strokeStyle = "#fff";
  ink.lineWidth = about.pen;
  ink.lineCap = ink.lineJoin = "round";
  ink.beginPath();
  ink.moveTo(from.x, from.y);
  ink.lineTo(to.x, to.y);
  ink.stroke();
  ask(grey);
}

const pens = new Map(); // where each pointer that is down was last

function place(event) {
  const box = drawing.getBoundingClientRect();
  return {x: (event.clientX - box.left) * drawing.width / box.width, y: (event.clientY - box.top) * drawing.height / box.height};
}

drawing.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  drawing.setPointerCapture(event.pointerId);
  pens.set(event.pointerId, place(event));
  stroke(place(event), place(event));
});
drawing.addEventListener("pointermove", (event) => {
  if (!pens.has(event.pointerId)) return;
  for (const one of event.getCoalescedEvents?.() ?? [event]) {
    stroke(pens.get(event.pointerId), place(one));
    pens.set(event.pointerId, place(one));
  }
});
for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, (event) => pens.delete(event.pointerId));

// The pen of the keyboard.

const pen = {x: about.side / 2, y: about.side / 2};
let isDown = false;
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

drawing.addEventListener("keydown", (event) => {
  if (event.key in ARROWS) {
    const [right, down] = ARROWS[event.key], inside = (value) => Math.min(Math.max(value, 0), about.side);
    const from = {...pen};
    pen.x = inside(pen.x + STEP * right);
    pen.y = inside(pen.y + STEP * down);
    if (isDown) stroke(from, pen);
  } else if (event.key === " ") {
    isDown = !isDown;
    if (isDown) stroke(pen, pen);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    isDown = false;
    clear();
  } else {
    return;
  }
  event.preventDefault();
});

// Files.

part("file").addEventListener("change", (event) => {
  if (event.target.files.length) askFile(event.target.files[0]);
  event.target.value = ""; // so that the same file can be chosen again
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
for (const end of ["dragleave", "drop"]) document.addEventListener(end, () => document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length && about.takes_files) askFile(event.dataTransfer.files[0]);
});

// The beginning.

part("name").textContent = about.name;
part("facts").textContent = `images of ${about.shape.join(" × ")}, ${about.classes} classes, `
  + `${about.parameters.toLocaleString("en")} parameters`;
drawing.width = drawing.height = about.side;
part("clear").addEventListener("click", clear);
if (!about.takes_files) {
  part("choose").hidden = true;
  part("files").textContent = `Image files need Pillow: ${about.install}`;
}
clear();
