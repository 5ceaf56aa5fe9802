// The explorer of one study, without a framework or build step. `state` holds the reader's choices and is
// stored in the address; `view` is derived from it; `show` draws the view. All data are in two elements of
// the page: #index (names, JSON) and #numbers (columns, deflated typed arrays).
"use strict";

const REACH = 16; // the pointer finds a point within this distance, in pixels
const DRAG = 5; // pixels; a shorter movement is a click
const PAGE = 48; // number of examples added to the gallery at a time
// Pixels around the plotting area, and between ticks; equal along both axes, like the scale.
const AXIS = { bottom: 50, left: 46, label: 26, padding: 14, space: 50 };
const NO_LABEL = -1; // then no class is right and no example is mislabelled
const STRIP = 1 / 6; // fraction of an axis: if all points are within less than this, the scales are not changed
const NOT_FINITE = -32768; // marks a missing value among scaled numbers, see columns.py
const INK = "#1a1a1a";
const GRID = "#e4e4e4";
// After Okabe and Ito, but darker: distinguishable, also by shape, on white and from orange and grey.
// Thresholds of an example's gain in Brier score: deviating pays or costs, and pays or costs much.
const PAYS = [0.05, 0.5];
const OUTCOMES = { wins: { colour: "#007a5e", glyph: "▲" }, loses: { colour: "#882255", glyph: "▼" } };

const element = (id) => document.getElementById(id);
const INDEX = JSON.parse(element("index").textContent);
const DEFAULTS = { // the setting is chosen by `telling`
  setting: Object.keys(INDEX.settings)[0], seed: String(INDEX.seeds[0]), split: "train", model: "student",
  axes: "teacher", class: "", judge: "given", outcome: "", colour: "", mislabelled: "", wrong: "", region: "", example: "",
};
const KINDS = { Uint8Array, Uint16Array, Int16Array, Int32Array, Float64Array, BigInt64Array };

let buffer; // the bytes of all columns
const unpacked = new Map(); // columns by name
const sheets = new Map(); // pictures of a split, by data store and split
let state = { ...DEFAULTS };
let view; // made by `look`
let plot; // uPlot
let pointed = -1; // position of the example under the pointer or selected by keys; -1 if none
let listed = PAGE; // number of examples in the gallery

// --- data ----------------------------------------------------------------------------------------

async function unpack() {
  const text = element("numbers").textContent;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  buffer = await new Response(stream).arrayBuffer();
}

// Return a column; one that is stored in steps is converted to floats.
function column(name) {
  if (!unpacked.has(name)) {
    const [kind, offset, length, step, middle] = INDEX.columns[name];
    const stored = new KINDS[kind](buffer, offset, length);
    const scaled = (value) => (value === NOT_FINITE ? NaN : middle + value * step);
    unpacked.set(name, step === undefined ? stored : Float64Array.from(stored, scaled));
  }
  return unpacked.get(name);
}

// Return how far the student is below the reference (without one, the teacher) in the decile of training
// examples of which the teacher is least sure; the mean over the first seed's sample.
function lowestGap(name) {
  const { data, seeds: [runs] } = INDEX.settings[name];
  const phi = (run) => column(`phi/${run}/${runs.teacher}/train`);
  const [teacher, student, other] = [runs.teacher, runs.student, runs.reference ?? runs.teacher].map(phi);
  const added = column(`added/${data}/train`);
  const known = Array.from(teacher.keys()).filter((i) => !added[i] && Number.isFinite(teacher[i] + student[i] + other[i]));
  const lowest = known.sort((i, j) => teacher[i] - teacher[j]).slice(0, Math.ceil(known.length / 10));
  return lowest.reduce((sum, i) => sum + student[i] - other[i], 0) / lowest.length;
}

// Return the setting that the page opens on: the one whose student most underfits what its teacher is unsure
// of, among the settings with label noise if there are any.
function telling() {
  const trained = Object.keys(INDEX.settings).filter((name) => INDEX.settings[name].splits.includes("train"));
  const noisy = trained.filter((name) => INDEX.settings[name].about.label_noise);
  const gaps = new Map((noisy.length ? noisy : trained).map((name) => [name, lowestGap(name)]));
  const [first] = [...gaps.keys()].filter((name) => Number.isFinite(gaps.get(name))).sort((a, b) => gaps.get(a) - gaps.get(b));
  return first ?? DEFAULTS.setting;
}

async function loadSheet(data, split) {
  const key = `${data}/${split}`;
  const told = INDEX.data[data].splits[split];
  if (!sheets.has(key) && told.sheet) {
    const image = new Image();
    image.src = told.sheet;
    sheets.set(key, image);
  }
  await sheets.get(key)?.decode();
}

// --- the view -----------------------------------------------------------------------------------

function look() {
  const { setting, seed, split, model, judge } = state;
  const of = INDEX.settings[setting];
  const runs = of.seeds[INDEX.seeds.indexOf(Number(seed))];
  const told = INDEX.data[of.data].splits[split];
  const chosenBy = runs[state.axes];
  const phi = (run) => column(`phi/${run}/${chosenBy}/${split}`);
  const brier = (run) => column(`brier/${run}/${of.labels}/${split}`);
  const top = (run) => column(`top/${run}/${split}`);
  const number = told.sampled + told.added;
  const unknown = () => new Int32Array(number).fill(NO_LABEL);
  const given = of.labels ? column(`label/${of.labels}/${split}`) : unknown();
  const clean = of.labels ? column(`clean/${of.data}/${split}`) : unknown();
  const right = judge === "clean" ? clean : given;
  const added = column(`added/${of.data}/${split}`);
  const width = top(runs.teacher).length / number; // number of classes stored per example
  const first = (run) => Int32Array.from({ length: number }, (_, i) => top(run)[width * i]);
  const [teacher, student] = [first(runs.teacher), first(runs[model])];
  const densityName = `density/${runs.teacher}/${runs[model]}/${chosenBy}/${split}`;
  const density = INDEX.densities[densityName]; // for sampled splits only
  return {
    of, runs, told, chosenBy, number, added, width, given, clean, right, teacher, student, density, densityName,
    classes: INDEX.data[of.data].classes,
    id: column(`id/${of.data}/${split}`),
    x: phi(runs.teacher),
    y: phi(runs[model]),
    chosen: first(chosenBy),
    // The range of the model's axis covers both models, so that they can be compared.
    spanX: range([phi(runs.teacher), density ? density.extent.slice(0, 2) : []]),
    spanY: range([phi(runs.student), runs.reference ? phi(runs.reference) : [], density ? density.extent.slice(2) : []]),
    wins: (i) => student[i] === right[i] && teacher[i] !== right[i],
    loses: (i) => student[i] !== right[i] && teacher[i] === right[i],
    gap: (i) => phi(runs[model])[i] - phi(runs.teacher)[i],
    gain: (i) => brier(runs.teacher)[i] - brier(runs[model])[i],
  };
}

function range(columns) {
  let [low, high] = [Infinity, -Infinity];
  for (const values of columns) {
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (!(low <= high)) return [-1, 1];
  const margin = 0.04 * (high - low || 1);
  return [low - margin, high + margin];
}

// Return the ranges of both axes. They span all points, with as many pixels per unit along one axis as along
// the other, so that the diagonal is at 45 degrees; null if that would squeeze all points of one axis into a
// strip.
function equalRanges({ spanX, spanY }, { width, height }) {
  const units = [(spanX[1] - spanX[0]) / width, (spanY[1] - spanY[0]) / height];
  const unit = Math.max(...units);
  if (Math.min(...units) < STRIP * unit) return null;
  const widened = ([low, high], pixels) => {
    const more = (unit * pixels - (high - low)) / 2;
    return [low - more, high + more];
  };
  return [widened(spanX, width), widened(spanY, height)];
}

// Return the positions of the examples that pass the filters and have a place in the plot.
function filtered() {
  const passes = (i) =>
    (state.class === "" || view.right[i] === Number(state.class)) &&
    (!state.mislabelled || view.given[i] !== view.clean[i]) &&
    (!state.wrong || view.teacher[i] !== view.right[i]) &&
    (!state.outcome || view[state.outcome](i)) &&
    Number.isFinite(view.x[i]) && Number.isFinite(view.y[i]);
  return Array.from({ length: view.number }, (_, i) => i).filter(passes);
}

function region() {
  const numbers = state.region.split(",").map(Number);
  return numbers.length === 4 && numbers.every(Number.isFinite) ? numbers : null;
}

// Return the examples in the region, those that deviate most from the teacher first.
function ranked() {
  const [left, right, bottom, top] = region() ?? [-Infinity, Infinity, -Infinity, Infinity];
  const inside = (i) => view.x[i] >= left && view.x[i] <= right && view.y[i] >= bottom && view.y[i] <= top;
  return view.shown.filter(inside).sort((i, j) => Math.abs(view.gap(j)) - Math.abs(view.gap(i)));
}

// --- the address ---------------------------------------------------------------------------------

function readAddress() {
  const given = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  const known = Object.keys(DEFAULTS).filter((key) => key in given);
  state = { ...DEFAULTS, ...Object.fromEntries(known.map((key) => [key, given[key]])) };
  if (!(state.setting in INDEX.settings)) state.setting = DEFAULTS.setting;
  if (!INDEX.seeds.map(String).includes(state.seed)) state.seed = DEFAULTS.seed;
}

function writeAddress() {
  const changed = Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]);
  const address = "#" + new URLSearchParams(changed);
  // Browsers allow about a hundred writes in half a minute.
  if (address !== (location.hash || "#")) history.replaceState(null, "", address);
}

// --- controls ------------------------------------------------------------------------------------

function fill(select, entries) {
  select.replaceChildren(...entries.map(([value, text]) => new Option(text, value)));
}

function controls() {
  return [...element("controls").elements].filter((control) => control.name);
}

// Set the controls to the values of the state; a value that no control offers becomes the first one.
function writeControls() {
  const { data, labels, seeds, splits } = INDEX.settings[state.setting];
  const form = element("controls").elements;
  if (!splits.includes(state.split)) state.split = splits.includes(DEFAULTS.split) ? DEFAULTS.split : splits[0];
  fill(form.split, splits.map((split) => [split, { test: "test", train: "training" }[split]]));
  form.model.options[1].disabled = seeds[0].reference === null;
  if (seeds[0].reference === null) state.model = "student";
  for (const name of ["class", "judge", "outcome", "colour", "mislabelled", "wrong"]) {
    form[name].disabled = labels === null;
    if (labels === null) state[name] = DEFAULTS[name];
  }
  fill(form.class, [["", "all"], ...INDEX.data[data].classes.map((name, i) => [String(i), name])]);
  form.axes.options[1].disabled = seeds[0].replicate === null;
  if (seeds[0].replicate === null) state.axes = "teacher";
  else form.axes.options[1].text = `a replicate, ${replicateName()} (ours)`;
  for (const control of controls()) {
    if (control.type === "checkbox") control.checked = state[control.name] === "1";
    else {
      control.value = state[control.name];
      if (control.selectedIndex < 0) control.selectedIndex = 0;
      state[control.name] = control.value;
    }
  }
  const chosen = region();
  ["left", "right", "bottom", "top"].forEach((side, i) => {
    element("region").elements[side].value = chosen ? String(round(chosen[i])) : "";
  });
}

function change(changes) {
  state = { ...state, ...changes };
  pointed = -1;
  listed = PAGE;
  show();
}

// --- drawing -------------------------------------------------------------------------------------

const round = (value) => Math.round(value * 1000) / 1000;
const count = (number) => number.toLocaleString("en");
const signed = (value) => value.toFixed(2).replace("-", "−");
const percent = (value) => `${(100 * value).toFixed(1)} %`;
const chooser = () => (state.axes === "teacher" ? "the teacher" : replicateName());
const modelName = () => INDEX.roles[state.model].label;

// Return the replicate that is shown: the teacher of another seed, or one without a student.
function replicateName() {
  const { seeds } = INDEX.settings[state.setting];
  const { replicate } = seeds[INDEX.seeds.indexOf(Number(state.seed))];
  const of = seeds.findIndex((runs) => runs.teacher === replicate);
  return of < 0 ? "a further teacher" : `the teacher of seed ${INDEX.seeds[of]}`;
}

function node(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

async function show() {
  writeControls();
  view = look();
  view.shown = filtered();
  view.drawn = view.shown.filter((i) => !view.added[i]); // the random sample: counted, and shown as densities
  view.ranked = ranked();
  if (!/^\d+$/.test(state.example) || Number(state.example) >= view.number) state.example = "";
  writeAddress();
  say();
  drawPlot();
  const [data, split] = [view.of.data, state.split];
  await loadSheet(data, split); // later changes that came meanwhile draw themselves
  if (data === view.of.data && split === state.split) {
    showExample();
    showGallery();
  }
}

function say() {
  const { about } = view.of;
  const wrong = about.label_noise ? `${round(100 * about.label_noise)} % of training labels wrong` : "no label noise";
  const noise = view.of.labels ? ("label_noise" in about ? wrong : "labels known") : "labels unknown";
  const models = [`teacher ${about.teacher}`, `student ${about.student}`];
  const others = view.of.teachers - 1;
  const one = others > 1 ? `, one of ${others}: A and G are means over all of them` : "";
  const replicate = state.axes === "teacher" ? [] : [`replicate: ${replicateName()}${one}`];
  const temperature = about.temperature === undefined ? [] : [`T = ${about.temperature}`];
  const loss = about.loss === undefined ? [] : [about.loss];
  const words = [...(about.dataset ? [about.dataset] : []), noise, ...models, ...loss, ...temperature, ...replicate];
  element("about").textContent = words.join(" · ");
  const { drawn } = view;
  const [wins, loses] = ["wins", "loses"].map((side) => drawn.filter(view[side]).length);
  element("said").replaceChildren(
    node("strong", count(drawn.length), { id: "shown" }),
    ` of ${count(view.told.sampled)} examples shown`,
    view.density ? ` (a random sample; the shading is of all ${count(view.told.examples)})` : "",
    ...(view.of.labels ? [
      `; the ${modelName()} wins `, node("strong", count(wins), { id: "wins" }),
      " and loses ", node("strong", count(loses), { id: "loses" }), ".",
    ] : ["; without labels nothing is right or wrong."]),
    ...sayAdded(view.shown.length - drawn.length),
  );
}

// Describe the examples added to the random sample, which no count and no density includes.
function sayAdded(shown) {
  const { added, depth, examples } = view.told;
  if (!added) return [];
  return [
    " The plot also shows ", node("strong", count(shown), { id: "added" }),
    ` of ${count(added)} examples (×) that no count includes: those with the ${
      depth === 1 ? "greatest gap" : `${count(depth)} greatest gaps`
    } of any plot over all ${count(examples)}.`,
  ];
}

function drawPlot() {
  const box = element("plot");
  const labels = ["teacher", modelName()].map((name) => `${name}, confidence logit`);
  element("plot-heading").textContent = `Confidence in what ${chooser()} predicts`;
  box.setAttribute("aria-label", `${labels[1]}, against ${labels[0]}: ${count(view.shown.length)} examples`);
  plot?.destroy();
  const equal = equalRanges(view, area());
  [view.rangeX, view.rangeY] = equal ?? [view.spanX, view.spanY];
  view.equal = equal !== null;
  const lines = { grid: { stroke: GRID, width: 1 }, ticks: { stroke: GRID } };
  const axis = (label, size) => ({ label, size, stroke: INK, labelSize: AXIS.label, space: AXIS.space, ...lines });
  const scale = (range) => ({ time: false, range: () => range });
  new uPlot({
    ...size(),
    padding: [AXIS.padding, AXIS.padding, 0, 0],
    cursor: { show: false }, // pointer events are handled below: uPlot knows no touch
    legend: { show: false },
    scales: { x: scale(view.rangeX), y: scale(view.rangeY) },
    axes: [axis(labels[0], AXIS.bottom), axis(labels[1], AXIS.left)],
    series: [{}, { paths: () => null, points: { show: false } }],
    hooks: { init: [begin], draw: [drawPoints, drawRegion, placeRing] },
  }, [view.rangeX, view.rangeY], box);
  drawLegend();
}

function begin(made) {
  plot = made; // set before the first drawing
  plot.over.append(node("div", "", { class: "ring", hidden: "" }));
  listenToPointer(plot.over);
}

function size() {
  const width = element("plot").clientWidth;
  // The height that the controls above and the legend below leave.
  const room = Math.max(360, Math.min(600, innerHeight - 330));
  return { width, height: Math.round(Math.min(width, room)) };
}

// Keep the part between the axes.
function area() {
  const { width, height } = size();
  return {
    width: width - AXIS.left - AXIS.label - AXIS.padding,
    height: height - AXIS.bottom - AXIS.label - AXIS.padding,
  };
}

// Convert values to pixels of the canvas, and to those of the plotting area as the page counts them, and back.
const onCanvas = (x, y) => [plot.valToPos(x, "x", true), plot.valToPos(y, "y", true)];
const toPixel = (x, y) => [plot.valToPos(x, "x"), plot.valToPos(y, "y")];
const toValue = (x, y) => [plot.posToVal(x, "x"), plot.posToVal(y, "y")];

function drawPoints({ ctx, bbox }) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  if (view.density) drawDensity(ctx, INDEX.roles[state.model].colour);
  drawDiagonal(ctx);
  for (const { has, glyph, colour } of groups()) drawMarks(ctx, view.drawn.filter(has), glyph, colour);
  const added = view.shown.filter((i) => view.added[i]);
  for (const { has, colour } of groups()) drawCrosses(ctx, added.filter(has), colour);
  ctx.restore();
}

// Return the marks of the plot, each with its examples; the most prominent come last.
function groups() {
  const colour = INDEX.roles[state.model].colour;
  if (state.colour !== "payoff") {
    return [
      { glyph: "●", colour, has: (i) => !view.wins(i) && !view.loses(i), text: "both right, or both wrong" },
      ...["wins", "loses"].map((side) => ({ ...OUTCOMES[side], has: view[side], text: `model ${side}` })),
    ];
  }
  const [some, much] = PAYS;
  const between = (low, high) => (i) => view.gain(i) >= low && view.gain(i) < high;
  return [
    { glyph: "●", colour: "#9a9a9a", has: between(-some, some), text: "hardly any difference" },
    { glyph: "●", colour: "#c98aa8", has: between(-much, -some), text: "deviating costs" },
    { glyph: "●", colour: "#5fb89a", has: between(some, much), text: "pays" },
    { glyph: "▼", colour: OUTCOMES.loses.colour, has: between(-Infinity, -much), text: "costs much" },
    { glyph: "▲", colour: OUTCOMES.wins.colour, has: between(much, Infinity), text: "pays much" },
  ];
}

function drawDiagonal(ctx) {
  const low = Math.min(view.rangeX[0], view.rangeY[0]);
  const high = Math.max(view.rangeX[1], view.rangeY[1]);
  ctx.strokeStyle = INK;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([5 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(...onCanvas(low, low));
  ctx.lineTo(...onCanvas(high, high));
  ctx.stroke();
  ctx.setLineDash([]);
}

// Draw all points of a mark as two paths: filled for clean examples, hollow for mislabelled ones.
function drawMarks(ctx, positions, glyph, colour) {
  const radius = (glyph === "●" ? 2.5 : 4.5) * (plot.width < 500 ? 0.75 : 1) * devicePixelRatio;
  const [filled, hollow] = [new Path2D(), new Path2D()];
  for (const i of positions) {
    const path = view.given[i] === view.clean[i] ? filled : hollow;
    const [x, y] = onCanvas(view.x[i], view.y[i]);
    if (glyph === "●") {
      path.moveTo(x + radius, y);
      path.arc(x, y, radius, 0, 2 * Math.PI);
    } else {
      const up = glyph === "▲" ? -radius : radius;
      path.moveTo(x, y + up);
      path.lineTo(x + radius, y - up);
      path.lineTo(x - radius, y - up);
      path.closePath();
    }
  }
  ctx.fillStyle = ctx.strokeStyle = colour;
  ctx.lineWidth = 1.3 * devicePixelRatio;
  ctx.globalAlpha = glyph === "●" ? 0.6 : 0.9;
  ctx.fill(filled);
  ctx.stroke(hollow);
  ctx.globalAlpha = 1;
}

// Draw added examples thin: there are more of them at the edges than in a random sample.
function drawCrosses(ctx, positions, colour) {
  const arm = 2.5 * devicePixelRatio;
  ctx.beginPath();
  for (const i of positions) {
    const [x, y] = onCanvas(view.x[i], view.y[i]);
    ctx.moveTo(x - arm, y - arm);
    ctx.lineTo(x + arm, y + arm);
    ctx.moveTo(x - arm, y + arm);
    ctx.lineTo(x + arm, y - arm);
  }
  ctx.strokeStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  ctx.stroke();
}

// Draw the density of all examples, of which the points are a sample.
function drawDensity(ctx, colour) {
  const { cells, extent } = view.density;
  const levels = column(view.densityName);
  const [left, right, bottom, top] = extent;
  const corner = (i, j) => onCanvas(left + ((right - left) * i) / cells, bottom + ((top - bottom) * j) / cells);
  ctx.fillStyle = colour;
  levels.forEach((level, cell) => {
    if (!level) return;
    const [i, j] = [Math.floor(cell / cells), cell % cells];
    ctx.globalAlpha = 0.06 + (0.4 * level) / 255;
    ctx.fillRect(...rectangle(corner(i, j), corner(i + 1, j + 1)));
  });
  ctx.globalAlpha = 1;
}

function drawLegend() {
  const marked = groups().map(({ glyph, colour, text }) => [glyph, colour, text]);
  const [[glyph, colour]] = marked;
  const marks = [
    ...(view.of.labels ? [...marked, ["○", INK, "hollow: mislabelled"]] : [[glyph, colour, "examples"]]),
    ["╌", INK, `as confident as the teacher${view.equal ? "" : " (the axes differ in scale)"}`],
    ...(view.told.added ? [["×", INK, "added for its great gap in some plot"]] : []),
  ];
  element("legend").replaceChildren(...marks.map(([glyph, colour, text]) => {
    const item = node("li");
    item.append(node("span", glyph, { "aria-hidden": "true", style: `color: ${colour}` }), ` ${text}`);
    return item;
  }));
}

// --- pointing and brushing -----------------------------------------------------------------------

function nearest(x, y) {
  let [found, least] = [-1, REACH * REACH];
  for (const i of view.shown) {
    const [left, top] = toPixel(view.x[i], view.y[i]);
    const distance = (left - x) ** 2 + (top - y) ** 2;
    if (distance < least) [found, least] = [i, distance];
  }
  return found;
}

function listenToPointer(over) {
  let start = null;
  let dragged = false;
  const at = (event) => {
    const box = over.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  over.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    [start, dragged] = [at(event), false];
    over.setPointerCapture(event.pointerId);
  });
  over.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    if (!start) return event.pointerType === "mouse" && point(nearest(x, y));
    dragged ||= Math.hypot(x - start[0], y - start[1]) > DRAG;
    if (dragged) {
      element("plot").classList.remove("no-region");
      selectPixels(...rectangle(start, [x, y]));
    }
  });
  over.addEventListener("pointerup", (event) => {
    if (!start) return;
    const [from, to] = [start, at(event)];
    start = null;
    if (!dragged) return keep(nearest(...to));
    const [left, top, width, height] = rectangle(from, to);
    const [low, high] = [toValue(left, top + height), toValue(left + width, top)];
    change({ region: [low[0], high[0], low[1], high[1]].map(round).join(",") });
  });
  over.addEventListener("pointercancel", () => {
    start = null; // the finger scrolls the page instead
    drawRegion();
  });
  over.addEventListener("pointerleave", () => start || point(-1));
}

const rectangle = (a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.abs(a[0] - b[0]), Math.abs(a[1] - b[1])];

function selectPixels(left, top, width, height) {
  plot.setSelect({ left, top, width, height }, false);
}

function drawRegion() {
  const chosen = region();
  element("plot").classList.toggle("no-region", !chosen);
  if (!chosen) return selectPixels(0, 0, 0, 0);
  // A region may reach beyond the axes.
  const within = (value, [low, high]) => Math.min(Math.max(value, low), high);
  const [left, right] = chosen.slice(0, 2).map((value) => within(value, view.rangeX));
  const [bottom, top] = chosen.slice(2).map((value) => within(value, view.rangeY));
  selectPixels(...rectangle(toPixel(left, top), toPixel(right, bottom)));
}

function point(i) {
  if (i === pointed) return;
  pointed = i;
  showExample();
}

function keep(i) {
  state.example = i < 0 ? "" : String(i);
  pointed = i;
  writeAddress();
  showExample();
  for (const button of element("gallery").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button.dataset.position === state.example);
  }
}

// Step to the next example in an order of the shown ones.
function step(order, by) {
  const now = order.indexOf(current());
  const next = now < 0 ? (by > 0 ? 0 : order.length - 1) : Math.min(Math.max(now + by, 0), order.length - 1);
  point(order[next] ?? -1);
}

function listenToKeys(event) {
  const byConfidence = () => [...view.shown].sort((i, j) => view.x[i] - view.x[j]);
  const keys = {
    ArrowRight: () => step(byConfidence(), 1),
    ArrowLeft: () => step(byConfidence(), -1),
    ArrowDown: () => step(view.ranked, 1),
    ArrowUp: () => step(view.ranked, -1),
    Home: () => point(byConfidence()[0] ?? -1),
    End: () => point(byConfidence().at(-1) ?? -1),
    Enter: () => keep(pointed),
    Escape: () => change({ region: "", example: "" }),
  };
  if (!(event.key in keys) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  keys[event.key]();
}

// --- examples ------------------------------------------------------------------------------------

const label = (i) => view.classes[i] ?? "unknown";

function labels(i) {
  const [given, clean] = [view.given[i], view.clean[i]];
  return given === clean ? label(given) : `${label(given)}, mislabelled: in truth ${label(clean)}`;
}

// Return the picture of an example, or its text.
function shownAs(i) {
  const { texts, columns, width, height } = view.told;
  if (texts) {
    const quoted = node("blockquote", "", { class: "text" });
    quoted.append(...texts[i].map((text) => node("div", text)));
    return quoted;
  }
  const named = { role: "img", "aria-label": `example ${view.id[i]}` };
  const picture = node("canvas", "", { class: "picture", width, height, ...named });
  const sheet = sheets.get(`${view.of.data}/${state.split}`);
  if (sheet?.complete) {
    const [x, y] = [(i % columns) * width, Math.floor(i / columns) * height];
    picture.getContext("2d").drawImage(sheet, x, y, width, height, 0, 0, width, height);
  }
  return picture;
}

// Return the example under the pointer, else the one that is kept, else -1.
function current() {
  return pointed < 0 && state.example !== "" ? Number(state.example) : pointed;
}

function placeRing() {
  const i = current();
  const ring = plot.over.querySelector(".ring");
  ring.hidden = i < 0;
  if (i < 0) return;
  const [x, y] = toPixel(view.x[i], view.y[i]);
  Object.assign(ring.style, { left: `${x}px`, top: `${y}px` });
}

function showExample() {
  const i = current();
  placeRing();
  if (i < 0) {
    const hint = "Point at an example, tap it, or walk through them with the arrow keys.";
    element("example").replaceChildren(node("p", hint, { class: "note" }));
    return;
  }
  const heading = node("p", `Example ${view.id[i]}: `, { "data-example": view.id[i] });
  const outcome = ["wins", "loses"].filter((side) => view[side](i));
  heading.append(node("strong", labels(i)), ...outcome.map((side) => ` ${OUTCOMES[side].glyph} model ${side}`));
  const logits = node("p", `Confidence logit in “${label(view.chosen[i])}”, which ${chooser()} predicts: teacher `);
  logits.append(node("strong", signed(view.x[i])), `, ${modelName()} `, node("strong", signed(view.y[i])),
    "; gap ", node("strong", signed(view.gap(i)), { id: "gap" }));
  if (view.of.labels) logits.append("; gain in Brier score ", node("strong", signed(view.gain(i)), { id: "gain" }));
  element("example").replaceChildren(shownAs(i), heading, logits, topClasses(i));
}

function topClasses(i) {
  const table = node("table");
  table.append(node("caption", "Most probable classes", { class: "note" }));
  for (const role of Object.keys(INDEX.roles).filter((known) => view.runs[known] !== null)) {
    const row = node("tr", "", { "data-role": role });
    row.append(node("th", INDEX.roles[role].label, { scope: "row" }));
    const of = `${view.runs[role]}/${state.split}`;
    const [top, probability] = [column(`top/${of}`), column(`probability/${of}`)];
    for (let k = view.width * i; k < view.width * (i + 1); k += 1) {
      const cell = node("td", label(top[k]));
      cell.append(node("small", percent(probability[k])));
      row.append(cell);
    }
    table.append(row);
  }
  return table;
}

function showGallery() {
  const inside = view.ranked;
  const where = region() ? "of the region" : "shown";
  element("gallery-note").textContent = `${count(inside.length)} examples ${where}, greatest gap first. `
    + "Gap: the model's confidence minus the teacher's.";
  const gallery = element("gallery");
  gallery.className = view.told.texts ? "of-texts" : "";
  gallery.replaceChildren(...inside.slice(0, listed).map(item));
  element("more").hidden = inside.length <= listed;
}

function item(i) {
  const kept = state.example === String(i);
  const button = node("button", "", { type: "button", "data-position": i, "aria-pressed": kept });
  const about = node("small", `gap ${signed(view.gap(i))}`);
  const [teacher, model] = [view.teacher[i], view.student[i]].map(label);
  for (const text of [`label ${labels(i)}`, `teacher ${teacher}`, `model ${model}`]) about.append(node("br"), text);
  button.append(shownAs(i), about);
  button.addEventListener("click", () => {
    keep(i);
    element("example").scrollIntoView({ block: "nearest" });
  });
  const entry = node("li");
  entry.append(button);
  return entry;
}

// --- start ---------------------------------------------------------------------------------------

function listen() {
  for (const control of controls()) {
    control.addEventListener("change", () => {
      const value = control.type === "checkbox" ? (control.checked ? "1" : "") : control.value;
      // Positions refer to one data set and split, a region to one plot.
      const other = ["setting", "split"].includes(control.name) ? { example: "", region: "", class: "" } : {};
      change({ ...other, [control.name]: value });
    });
  }
  element("reset").addEventListener("click", () => {
    const { setting, seed, split, model, axes, colour } = state;
    change({ ...DEFAULTS, setting, seed, split, model, axes, colour });
  });
  element("region").addEventListener("submit", (event) => {
    event.preventDefault();
    const sides = ["left", "right", "bottom", "top"].map((side) => event.target.elements[side].value);
    const open = [...view.rangeX, ...view.rangeY]; // sides for inputs left empty
    change({ region: sides.map((side, i) => (side === "" ? round(open[i]) : side)).join(",") });
  });
  element("no-region").addEventListener("click", () => change({ region: "" }));
  element("more").addEventListener("click", () => {
    listed += PAGE;
    showGallery();
  });
  element("plot").addEventListener("keydown", listenToKeys);
  addEventListener("hashchange", () => {
    readAddress();
    change({});
  });
  new ResizeObserver(() => {
    if (plot && size().width !== plot.width) drawPlot();
  }).observe(element("plot"));
}

async function start() {
  await unpack();
  DEFAULTS.setting = telling();
  const form = element("controls").elements;
  fill(form.setting, Object.keys(INDEX.settings).map((name) => [name, name]));
  fill(form.seed, INDEX.seeds.map((seed) => [String(seed), String(seed)]));
  readAddress();
  listen();
  await show();
  performance.mark("ready");
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  element("said").textContent = `This page needs a browser of 2023 or newer (${error.message}).`;
  throw error;
});
