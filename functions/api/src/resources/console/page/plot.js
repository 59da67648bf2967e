// A plot of what is sent and what becomes final in each second, since the first message. The library
// is loaded with the first plot.
import { html, useEffect, useRef } from "./preact.js";
import { get } from "./api.js";
import { number } from "./format.js";
import { T } from "./texts.js";
import { ErrorBox, useData } from "./ui.js";

const P = T.plot;
const HEIGHT = 180;
const EVERY_MS = 10_000;
const DAY_S = 86_400;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "short" });

let library = null;

function loadLibrary() {
  library ??= new Promise((resolve, reject) => {
    const style = document.createElement("link");
    style.rel = "stylesheet";
    style.href = new URL("./uplot.css", import.meta.url);
    const script = document.createElement("script");
    script.src = new URL("./uplot.js", import.meta.url);
    script.onload = () => resolve(globalThis.uPlot);
    script.onerror = reject;
    document.head.append(style, script);
  });
  return library;
}

/** Returns the rates as columns, between two zeros. An interval that is not over has no rate yet. */
function ratesOf({ points, interval_s: interval }) {
  const from = (point) => new Date(point.at) / 1000;
  const isOver = (point) => from(point) + interval <= Date.now() / 1000;
  const shown = points.filter(isOver);
  if (shown.length === 0) return [[], [], []];
  const rates = (name) => [0, ...shown.map((point) => point[name] / interval), 0];
  const times = shown.map((point) => from(point) + interval / 2);
  return [[times[0] - interval, ...times, times.at(-1) + interval], rates("sent"), rates("final")];
}

function optionsFor(host) {
  const colour = (name) => getComputedStyle(host).getPropertyValue(name);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  const label = (_, times) => times.map((at) => (times.at(-1) - times[0] > DAY_S ? calendar : clock).format(at * 1000));
  return {
    width: host.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { show: false },
    scales: { y: { range: (_, least, most) => [0, Math.max(1, most)] } },
    axes: [{ ...axis, space: 110, values: label }, axis],
    // Lines differ in their dashes too, so that nothing depends on colours.
    series: [{}, { stroke: colour("--underway"), width: 2 }, { stroke: colour("--delivered"), width: 2, dash: [8, 4] }],
  };
}

const most = (rates) => number(Math.round(10 * Math.max(0, ...rates)) / 10);

export default function Plot({ schedule }) {
  const host = useRef();
  const plot = useRef();
  const isRunning = schedule.status === "running";
  const { data, error } = useData(() => get(`/v1/schedules/${schedule.id}/progress`), [schedule.id, isRunning], isRunning ? EVERY_MS : 0);
  const rates = data ? ratesOf(data) : [[], [], []];
  const latest = useRef();
  latest.current = rates;
  useEffect(() => {
    plot.current?.setData(rates);
  }, [data]);
  useEffect(() => {
    let live = true;
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: host.current.clientWidth, height: HEIGHT }));
    loadLibrary().then((Library) => {
      if (!live) return;
      plot.current = new Library(optionsFor(host.current), latest.current, host.current);
      resize.observe(host.current);
    }, () => {});
    return () => {
      live = false;
      resize.disconnect();
      plot.current?.destroy();
    };
  }, []);
  return html`<figure><div class="plot" ref=${host} aria-hidden="true"></div><figcaption>${P.caption} ${data?.is_sample && P.sample}
    <ul class="legend"><li><span class="line underway" aria-hidden="true"></span>${P.sent(most(rates[1]))}</li>
      <li><span class="line dashed" aria-hidden="true"></span>${P.final(most(rates[2]))}</li></ul></figcaption>
    <${ErrorBox} error=${error} /></figure>`;
}
