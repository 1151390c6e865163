// vigil's live page: asks for one answer every two seconds and shows it. What comes from outside is only
// ever put into the page as text (textContent): a stream's name or an event's class is never markup.
"use strict";

const ASK_EVERY_MS = 2000;
const GIVE_UP_MS = 8000;
const PAGE = 50; // streams
const FEED = 200; // events kept
const STATES = ["offline", "degraded", "connecting", "pending", "online", "disabled"];
const MOODS = { online: "good", degraded: "warn", connecting: "warn", pending: "warn", offline: "bad", disabled: "idle" };
const TOKEN = "vigil.token";

const at = (id) => document.getElementById(id);
const shown = { states: new Set(), text: "", offset: 0, cursor: "", held: false, stream: "" };
let timer = 0;
let asked = 0; // answers to earlier questions are not shown
let failures = 0;
let looks = 0; // pictures that were asked for: only the newest is shown

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function headers() {
  const token = sessionStorage.getItem(TOKEN);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

function get(path, query) {
  const signal = AbortSignal.timeout(GIVE_UP_MS);
  return fetch(`${path}?${new URLSearchParams(query)}`, { headers: headers(), signal, cache: "no-store" });
}

async function ask() {
  clearTimeout(timer);
  const question = ++asked;
  try {
    const answer = await get("/console/view", {
      states: [...shown.states].join(","), text: shown.text, offset: shown.offset, limit: PAGE, cursor: shown.cursor,
    });
    const text = await answer.text();
    if (question !== asked) return;
    failures = 0;
    if (answer.status === 401) {
      logIn(sessionStorage.getItem(TOKEN) ? "That token is not known, or has run out." : "");
      return;
    }
    if (!answer.ok) throw new Error(text);
    show(JSON.parse(text));
  } catch (error) {
    if (question !== asked) return;
    failures += 1;
    mood(at("health"), "bad", "no answer");
    notice(error.message || "The service does not answer; asking again.");
  }
  timer = setTimeout(ask, document.hidden ? 5 * ASK_EVERY_MS : ASK_EVERY_MS * Math.min(1 + failures, 5));
}

function logIn(why) {
  sessionStorage.removeItem(TOKEN);
  shown.cursor = ""; // what was shown was for another token
  at("rows").replaceChildren();
  at("feed").replaceChildren();
  if (at("stream").open) at("stream").close();
  at("live").hidden = true;
  at("login").hidden = false;
  mood(at("health"), "idle", "locked");
  notice(why);
  at("token").focus();
}

function notice(text) {
  at("notice").textContent = text;
  at("notice").hidden = !text;
}

function mood(pill, kind, text) {
  pill.className = `pill ${kind}`;
  pill.textContent = text;
}

function show(view) {
  at("login").hidden = true;
  at("live").hidden = false;
  const figures = view.figures;
  const troubles = figures ? figures.troubles : [];
  if (!view.ready) mood(at("health"), "warn", "not ready: the model is not warm");
  else if (troubles.length) mood(at("health"), "warn", "analysing, with trouble");
  else mood(at("health"), "good", "analysing");
  notice(troubles.join("\n"));
  at("engine").textContent = figures
    ? [figures.model, figures.precision, figures.form, figures.device].filter(Boolean).join(" · ") : "";
  at("caller").textContent = view.caller ? `as ${view.caller}` : "";
  showFigures(view, figures);
  showStates(view.states);
  showStreams(view);
  if (!shown.held) showEvents(view);
  shown.cursor = shown.held ? shown.cursor : view.cursor;
}

function showFigures(view, figures) {
  const p95 = view.latency_p95_s;
  at("latency").textContent = p95 === null ? "–" : p95 < 1 ? `${Math.round(p95 * 1000)} ms` : `${p95.toFixed(1)} s`;
  at("latency-of").textContent = view.latency_window_s >= 1
    ? `p95 to Redis, last ${span(view.latency_window_s)}` : "p95 to Redis, since the start";
  at("analysed").textContent = view.analysed_fps.toFixed(1);
  at("waiting").textContent = figures ? figures.outbox_events.toLocaleString("en") : "–";
  at("total").textContent = Object.values(view.states).reduce((sum, count) => sum + count, 0).toLocaleString("en");
}

function showStates(counts) {
  const group = at("states");
  for (const state of STATES) {
    let button = group.querySelector(`[data-state=${state}]`);
    if (!button) {
      button = element("button", "", MOODS[state]);
      button.type = "button";
      button.dataset.state = state;
      button.addEventListener("click", () => toggle(state));
      group.append(button);
    }
    button.textContent = `${state} ${counts[state] || 0}`;
    button.hidden = !counts[state] && !shown.states.has(state);
    button.setAttribute("aria-pressed", String(shown.states.has(state)));
  }
}

function toggle(state) {
  if (!shown.states.delete(state)) shown.states.add(state);
  turn(0);
}

function turn(offset) {
  shown.offset = Math.max(0, offset);
  ask();
}

function showStreams(view) {
  if (view.matching && shown.offset >= view.matching) {
    turn(PAGE * Math.floor((view.matching - 1) / PAGE));
    return;
  }
  keepFocus(() => at("rows").replaceChildren(...view.streams.map((stream) => row(stream, view.now_s))));
  const last = shown.offset + view.streams.length;
  at("none").hidden = view.matching > 0;
  at("none").textContent = shown.text || shown.states.size ? "No stream is like that." : "No streams yet: vigil stream add";
  at("pages").hidden = view.matching <= PAGE;
  at("range").textContent = `${shown.offset + 1} to ${last} of ${view.matching}`;
  at("back").disabled = shown.offset === 0;
  at("next").disabled = last >= view.matching;
  const open = view.streams.find((stream) => stream.id === shown.stream);
  if (open) showFacts(open, view.now_s);
}

function keepFocus(change) {
  const id = document.activeElement && document.activeElement.dataset.stream;
  change();
  if (id) at("rows").querySelector(`[data-stream="${CSS.escape(id)}"]`)?.focus();
}

function row(stream, now) {
  const made = element("tr");
  const name = element("td");
  const open = element("button", stream.id, "open");
  open.type = "button";
  open.dataset.stream = stream.id;
  open.addEventListener("click", () => look(stream, now));
  name.append(open, element("small", stream.uri));
  const state = element("td");
  state.append(element("span", stream.state, `state ${MOODS[stream.state]}`));
  const why = [stream.reason.replaceAll("_", " "), stream.detail, retry(stream, now)].filter(Boolean).join(" · ");
  if (why) state.append(element("small", why));
  const rate = element("td", stream.analysed_fps ? stream.analysed_fps.toFixed(1) : "–");
  rate.append(element("small", `of ${plain(stream.detect_fps)}`));
  const picture = element("td", size(stream));
  if (stream.source_fps) picture.append(element("small", `at ${plain(stream.source_fps)} fps`));
  made.append(name, state, element("td", span(now - stream.since_s)), rate, picture,
    element("td", stream.reconnects ? `${stream.reconnects}×` : "–"));
  return made;
}

const plain = (number) => String(Math.round(number * 10) / 10);
const size = (stream) => (stream.width_px ? `${stream.width_px}×${stream.height_px}` : "–");

function retry(stream, now) {
  if (stream.next_retry_s === null) return "";
  const wait = stream.next_retry_s - now;
  return wait < 1 ? "being tried" : `tried again in ${span(wait)}`;
}

function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

function showEvents(view) {
  const feed = at("feed");
  const first = !feed.childElementCount;
  for (const event of view.events) {
    const line = element("li", undefined, first ? "" : "fresh");
    const time = element("time", new Date(event.at_s * 1000).toLocaleTimeString("en-GB"));
    time.dateTime = new Date(event.at_s * 1000).toISOString();
    const phase = event.phase === "new" ? "" : event.phase;
    const what = [event.rule, event.class_name, event.score === null ? "" : event.score.toFixed(2)];
    const kind = [event.type, phase].filter(Boolean).join(" ");
    line.append(time, element("b", event.stream), event.picture ? opener(event, kind) : element("span", kind));
    if (what.some(Boolean)) line.append(element("small", what.filter(Boolean).join(" · ")));
    feed.prepend(line);
  }
  while (feed.childElementCount > FEED) feed.lastElementChild.remove();
  at("silence").hidden = feed.childElementCount > 0;
  at("missed").textContent = view.missed ? `${view.missed} more went by` : "";
}

function opener(event, kind) {
  const open = element("button", kind, "open");
  open.type = "button";
  open.addEventListener("click", () => lookBack(event));
  return open;
}

function look(stream, now) {
  shown.stream = stream.id;
  showFacts(stream, now);
  showPicture(stream.id, "/console/picture", { stream: stream.id }, `The newest analysed picture of ${stream.id}`);
}

function lookBack(event) {
  shown.stream = "";
  listFacts({ When: new Date(event.at_s * 1000).toLocaleString("en-GB"), Event: event.type, Rule: event.rule,
    Class: event.class_name, Score: event.score === null ? "" : event.score.toFixed(2) });
  showPicture(event.stream, "/console/event-picture", { episode: event.picture }, `The picture of this ${event.type}`);
}

async function showPicture(title, path, query, alt) {
  const look = ++looks;
  at("stream-title").textContent = title;
  at("picture").hidden = true;
  at("no-picture").textContent = "…";
  at("stream").showModal();
  try {
    const answer = await get(path, query);
    if (!answer.ok) throw new Error(await answer.text());
    const picture = await answer.blob();
    if (look !== looks) return;
    forget();
    at("picture").src = URL.createObjectURL(picture);
    at("picture").alt = alt;
    at("picture").hidden = false;
    at("no-picture").textContent = "";
  } catch (error) {
    if (look === looks) at("no-picture").textContent = error.message;
  }
}

function showFacts(stream, now) {
  const labels = Object.entries(stream.labels).map(([name, value]) => `${name}=${value}`).join(", ");
  const facts = {
    State: [stream.state, stream.reason.replaceAll("_", " "), stream.detail].filter(Boolean).join(" · "),
    Since: span(now - stream.since_s), "Next try": stream.next_retry_s === null ? "" : retry(stream, now),
    Address: stream.uri, Picture: size(stream), "Run": stream.run || "", Rules: stream.rules, Labels: labels,
  };
  listFacts(facts);
}

function listFacts(facts) {
  at("facts").replaceChildren(...Object.entries(facts).filter(([, fact]) => fact !== "")
    .flatMap(([name, fact]) => [element("dt", name), element("dd", String(fact))]));
}

function forget() {
  if (at("picture").src) URL.revokeObjectURL(at("picture").src);
  at("picture").removeAttribute("src");
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value.trim());
  at("token").value = "";
  ask();
});
at("text").addEventListener("input", () => {
  shown.text = at("text").value.trim();
  turn(0);
});
at("back").addEventListener("click", () => turn(shown.offset - PAGE));
at("next").addEventListener("click", () => turn(shown.offset + PAGE));
at("hold").addEventListener("click", () => {
  shown.held = !shown.held;
  at("hold").setAttribute("aria-pressed", String(shown.held));
  ask();
});
at("close").addEventListener("click", () => at("stream").close());
at("stream").addEventListener("close", () => {
  shown.stream = "";
  looks += 1;
  forget();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) ask();
});
ask();
