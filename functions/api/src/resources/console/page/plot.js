// A plot of what is sent and what becomes final in each second, since the page was opened. The
// library is loaded with the first plot.
import { html, useEffect, useRef } from "./preact.js";
import { grouped, number } from "./format.js";
import { T } from "./texts.js";

const P = T.plot;
const MOST_SAMPLES = 2000;
const HEIGHT = 180;

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

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

function sampleOf(schedule) {
  const { delivered, failed } = grouped(schedule.counts);
  return { at: Date.now() / 1000, sent: schedule.already_sent, final: delivered + failed + schedule.counts.UNKNOWN };
}

/** Returns the rates between samples, as columns. A resend takes a final state back: no rate is below 0. */
function ratesOf(samples) {
  const pairs = samples.slice(1).map((sample, at) => [samples[at], sample]);
  const rate = (name) => ([before, after]) => Math.max(0, (after[name] - before[name]) / (after.at - before.at));
  return [pairs.map(([, after]) => after.at), pairs.map(rate("sent")), pairs.map(rate("final"))];
}

function optionsFor(host) {
  const colour = (name) => getComputedStyle(host).getPropertyValue(name);
  const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
  return {
    width: host.clientWidth, height: HEIGHT, legend: { show: false }, cursor: { show: false },
    scales: { y: { range: (_, least, most) => [0, Math.max(1, most)] } },
    axes: [{ ...axis, space: 90, values: (_, times) => times.map((at) => clock.format(at * 1000)) }, axis],
    // Lines differ in their dashes too, so that nothing depends on colours.
    series: [{}, { stroke: colour("--underway"), width: 2 }, { stroke: colour("--delivered"), width: 2, dash: [8, 4] }],
  };
}

export default function Plot({ schedule }) {
  const host = useRef();
  const samples = useRef([]);
  const plot = useRef();
  useEffect(() => {
    samples.current = [...samples.current, sampleOf(schedule)].slice(-MOST_SAMPLES);
    plot.current?.setData(ratesOf(samples.current));
  }, [schedule]);
  useEffect(() => {
    let live = true;
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: host.current.clientWidth, height: HEIGHT }));
    loadLibrary().then((Library) => {
      if (!live) return;
      plot.current = new Library(optionsFor(host.current), ratesOf(samples.current), host.current);
      resize.observe(host.current);
    }, () => {});
    return () => {
      live = false;
      resize.disconnect();
      plot.current?.destroy();
    };
  }, []);
  const [, sent, final] = ratesOf([...samples.current, sampleOf(schedule)].slice(-2));
  return html`<figure><div class="plot" ref=${host} aria-hidden="true"></div><figcaption>${P.caption}
    <ul class="legend"><li><span class="line underway" aria-hidden="true"></span>${P.sent(number(Math.round(sent[0] ?? 0)))}</li>
      <li><span class="line dashed" aria-hidden="true"></span>${P.final(number(Math.round(final[0] ?? 0)))}</li></ul></figcaption></figure>`;
}
