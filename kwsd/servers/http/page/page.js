// The live page: one stream of server-sent events, a look at /health every two seconds, and two kinds of button.
"use strict";

const $ = (id) => document.getElementById(id);
const SPECIAL = ["_silence_", "_unknown_"];
const EVENTS_MAX = 200;
const OUTCOMES = {
  fired: "fired", below_threshold: "below its threshold", speech: "held back by speech", suppressed: "suppressed",
  not_armed: "not armed", not_wanted: "not wanted", held: "already fired",
};

const rows = new Map(); // by label: the elements of a word
let thresholds = {};
let labels = []; // of all models
let shown = ""; // the listener whose sound and words are shown
let chosen = ""; // the one that was chosen, if any was
let state = "";
let told = 0; // states that the stream has told

function element(tag, classes, text) {
  const made = document.createElement(tag);
  if (classes) made.className = classes;
  if (text !== undefined) made.textContent = text;
  return made;
}

// Words.

function showWords(labels) {
  $("words").replaceChildren();
  rows.clear();
  for (const label of labels) {
    const item = element("li", SPECIAL.includes(label) ? "special" : "");
    const track = element("div", "track");
    const bar = element("div", "bar");
    const mark = element("div", "mark");
    const score = element("span", "score", "0.00");
    const arm = element("button", "", "Arm");
    mark.hidden = arm.hidden = true;
    arm.addEventListener("click", () => {
      const verb = arm.getAttribute("aria-pressed") === "true" ? "disarm" : "arm";
      ask({[verb]: {labels: [label]}});
    });
    track.setAttribute("role", "meter");
    track.setAttribute("aria-label", label);
    track.setAttribute("aria-valuemin", "0");
    track.setAttribute("aria-valuemax", "1");
    track.append(bar, mark);
    item.append(element("span", "name", label), track, score, arm);
    $("words").append(item);
    rows.set(label, {item, track, bar, mark, score, arm});
  }
}

let scoresWithoutFrames = 0;

function showScores(message) {
  if (message.listener !== shown) return;
  if (++scoresWithoutFrames === 20) {
    canvas.hidden = true;
    $("no-frames").hidden = false;
  }
  for (const [label, score] of Object.entries(message.scores)) {
    const row = rows.get(label);
    if (!row) continue;
    row.bar.style.width = `${100 * score}%`;
    row.track.setAttribute("aria-valuenow", score.toFixed(2));
    row.score.textContent = score.toFixed(2);
    row.item.classList.toggle("over", label in thresholds && score >= thresholds[label]);
  }
  showLevel(message.level_dbfs);
}

function showLevel(dbfs) {
  $("level").style.width = `${Math.max(0, Math.min(100, 100 * (dbfs + 90) / 90))}%`;
  $("level-track").setAttribute("aria-valuenow", dbfs.toFixed(0));
  $("level-text").textContent = `${dbfs.toFixed(1)} dBFS`;
}

// The spectrogram: a column for each row of features.

const canvas = $("spectrogram");
const ink = canvas.getContext("2d");
let low = 0, high = 0;

function colour(part) { // from black over blue and orange to white
  const t = Math.max(0, Math.min(1, part));
  return [255 * Math.min(1, 1.7 * t * t), 255 * t ** 1.7, 255 * Math.min(1, .25 + 1.1 * t) * Math.min(1, 3 * t)];
}

function showFrames(message) {
  if (message.listener !== shown) return;
  scoresWithoutFrames = 0;
  canvas.hidden = false;
  $("no-frames").hidden = true;
  for (const row of message.rows) {
    const [least, most] = [Math.min(...row), Math.max(...row)];
    if (low === high) [low, high] = [least, most + 1e-6];
    low += (least - low) * (least < low ? .5 : .002); // follows what is loud at once, and forgets it slowly
    high += (most - high) * (most > high ? .5 : .002);
    if (canvas.height !== row.length) canvas.height = row.length;
    ink.drawImage(canvas, -1, 0);
    const column = ink.createImageData(1, row.length);
    row.forEach((value, at) => {
      const place = 4 * (row.length - 1 - at);
      column.data.set([...colour((value - low) / (high - low)), 255], place);
    });
    ink.putImageData(column, canvas.width - 1, 0);
  }
}

// Events.

function tell(classes, time, ...parts) {
  const item = element("li", classes);
  const clock = element("time", "", new Date(time).toLocaleTimeString([], {hour12: false}));
  clock.dateTime = time;
  item.append(clock, ...parts);
  $("events").prepend(item);
  while ($("events").childElementCount > EVENTS_MAX) $("events").lastChild.remove();
}

function tellWord(message, how, classes) {
  if ($("listener").length > 1) how = `${message.listener}: ${how}`;
  tell(classes, message.time, element("span", "word", message.label),
       element("span", "score", message.score.toFixed(2)), element("span", "how", how));
}

function showState(message) {
  state = message.state;
  $("state").dataset.state = state;
  $("state-name").textContent = state;
  $("reason").textContent = message.reason ?? "";
  $("pause").textContent = state === "paused" ? "Resume" : "Pause";
  $("pause").setAttribute("aria-pressed", String(state === "paused"));
  $("pause").disabled = state === "gone";
}

const RECEIVERS = {
  hello: (message) => { labels = message.labels; shown = ""; look(); },
  scores: showScores,
  frames: showFrames,
  detection: (message) => tellWord(message, `heard, ${message.latency_ms ?? "-"} ms`, "fired"),
  peak: (message) => {
    if (message.outcome === "fired") return; // the detection says it
    const how = `${OUTCOMES[message.outcome] ?? message.outcome} (${message.threshold.toFixed(2)})`;
    tellWord(message, how, "near");
  },
  status: (message) => {
    told += 1;
    showState(message);
    tell("status", message.time, element("span", "how", `${message.state}: ${message.reason}`));
    look();
  },
  dropped: (message) =>
    tell("status", new Date().toISOString(), element("span", "how", `${message.count} events were missed here`)),
};

// What /health says: state, counters, what is armed.

async function look() {
  const before = told;
  let snapshot;
  try {
    const answer = await fetch("/health", {cache: "no-store"});
    if (answer.status === 401) location.reload();
    snapshot = await answer.json();
  } catch {
    return; // the stream says that kwsd is gone
  }
  if (snapshot.state !== state && told === before) showState(snapshot); // else the stream knows better
  chooseAmong(snapshot.listeners);
  const listener = snapshot.listeners[shown];
  $("what").textContent = `${listener.models.join(", ")} · ${listener.device}`;
  thresholds = listener.thresholds;
  const onDemand = listener.on_demand;
  for (const [label, row] of rows) {
    const armed = label in (snapshot.armed ?? {});
    row.mark.hidden = !(label in thresholds);
    row.mark.style.left = `${100 * (armed ? snapshot.armed[label].threshold : thresholds[label] ?? 0)}%`;
    row.arm.hidden = !onDemand.includes(label) && !armed;
    row.arm.textContent = armed ? "Armed" : "Arm";
    row.arm.setAttribute("aria-pressed", String(armed));
  }
  $("words").classList.toggle("arming", [...rows.values()].some((row) => !row.arm.hidden));
  showCounters(snapshot);
}

// Listeners: one is shown.

function chooseAmong(listeners) {
  const names = Object.keys(listeners);
  const select = $("listener");
  if (names.join() !== [...select.options].map((option) => option.value).join()) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    $("choice").hidden = names.length < 2;
  }
  for (const option of select.options) { // its state, where that is not the usual one
    const its = listeners[option.value].state;
    option.textContent = its === "listening" ? option.value : `${option.value} (${its})`;
  }
  const wanted = names.includes(chosen) ? chosen : names[0];
  if (wanted !== shown) showListener(wanted, listeners[wanted], names.length > 1);
  select.value = shown;
}

function showListener(name, listener, isOneOfSeveral) {
  shown = name;
  const isIts = (label) => !isOneOfSeveral || SPECIAL.includes(label) || label in listener.thresholds;
  showWords(labels.filter(isIts));
  ink.clearRect(0, 0, canvas.width, canvas.height);
  low = high = 0;
}

$("listener").addEventListener("change", () => {
  chosen = $("listener").value;
  look();
});

function showCounters(snapshot) {
  const lines = [
    ["words heard", snapshot.detections],
    ["audio heard", `${snapshot.audio_s.toFixed(0)} s`],
    ["samples lost", snapshot.samples_lost],
    ["overruns", snapshot.overruns],
    ["stride", `${snapshot.stride_ms} ms`],
    ["running for", `${snapshot.uptime_s.toFixed(0)} s`],
    ["processor", `${snapshot.cpu_s.toFixed(1)} s`],
    ["memory", `${snapshot.rss_mb.toFixed(0)} MiB`],
    ...Object.entries(snapshot.sinks).map(([name, counts]) => [
      name, ["sent", "queued", "dropped", "retried"].filter((key) => counts[key])
        .map((key) => `${counts[key]} ${key}`).join(", ") || "nothing yet"]),
  ];
  $("counters").replaceChildren(...lines.flatMap(([name, value]) => [element("dt", "", name), element("dd", "", value)]));
}

// Control.

async function ask(request) {
  try {
    const answer = await fetch("/control", {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(request),
    });
    const {message} = await answer.json();
    if (message) tell("status", new Date().toISOString(), element("span", "how", message));
  } catch (error) {
    tell("status", new Date().toISOString(), element("span", "how", String(error)));
  }
  look();
}

$("pause").addEventListener("click", () => ask(state === "paused" ? {resume: {}} : {pause: {}}));
document.addEventListener("keydown", (event) => {
  const typing = event.ctrlKey || event.metaKey || event.altKey || event.target === $("listener");
  if (event.key === "p" && !typing && !$("pause").disabled) $("pause").click();
});

// The stream; the browser connects again by itself.

const stream = new EventSource("/events");
stream.onmessage = (event) => {
  const message = JSON.parse(event.data);
  RECEIVERS[message.type]?.(message);
};
stream.onerror = () => {
  showState({state: "gone", reason: "kwsd does not answer"});
  if (stream.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
};
setInterval(look, 2000);
