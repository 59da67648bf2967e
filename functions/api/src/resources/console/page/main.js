// Starts the console: continues the session or shows the login, then the page of the address.
import { html, render, useEffect, useState } from "./preact.js";
import { get, isLoginOff, logOut, onSessionEnd, restore } from "./api.js";
import { Login, LoginOff } from "./login.js";
import { linkTo, useRoute } from "./router.js";
import { T } from "./texts.js";
import { BusyButton, ErrorBox, Loading, Page } from "./ui.js";

// The pages: the permission that each needs, and the module with its component, loaded when the
// page is opened.
const PAGES = {
  schedules: { needs: "schedules:read", load: () => import("./schedules.js") },
  send: { needs: "schedules:write", load: () => import("./send.js") },
  attention: { needs: "attention:read", load: () => import("./attention.js") },
  messages: { needs: "schedules:read", load: () => import("./messages.js") },
  suppressions: { needs: "suppressions:read", load: () => import("./suppressions.js") },
  money: { needs: "schedules:read", load: () => import("./money.js") },
  people: { needs: "users", load: () => import("./people.js") },
  keys: { needs: "api-keys", load: () => import("./keys.js") },
  webhooks: { needs: "webhooks:read", load: () => import("./webhooks.js") },
  audit: { needs: "audit:read", load: () => import("./audit.js") },
  system: { needs: "carriers:read", load: () => import("./system.js") },
  account: { load: () => import("./account.js"), hidden: true },
};

function Navigation({ page, can }) {
  const shown = Object.entries(PAGES).filter(([, { needs, hidden }]) => !hidden && can(needs));
  return html`<nav aria-label=${T.navigation}><ul>${shown.map(([name]) => html`<li>
    <a href=${linkTo(name)} aria-current=${name === page ? "page" : undefined}>${T.pages[name]}</a></li>`)}</ul></nav>`;
}

/** Loads the module of a page. A module that is gone was replaced by a new version. */
function LazyPage({ name, ...rest }) {
  const [loaded, setLoaded] = useState({});
  useEffect(() => {
    PAGES[name].load().then(
      (module) => setLoaded({ name, Component: module.default }),
      () => setLoaded({ name, failed: true }),
    );
  }, [name]);
  if (loaded.name !== name) return html`<${Loading} />`;
  if (loaded.failed) {
    return html`<${ErrorBox} error=${{ title: T.updated.title, message: T.updated.text }} />
      <button type="button" onClick=${() => location.reload()}>${T.updated.reload}</button>`;
  }
  return html`<${loaded.Component} ...${rest} />`;
}

function Shell({ me }) {
  const route = useRoute();
  const can = (permission) => !permission || me.permissions.includes(permission);
  // A person who needs a second factor and has none may only set one up.
  const closed = me.permissions.length === 0 && me.kind === "user";
  const page = closed ? "account" : PAGES[route.page] && can(PAGES[route.page].needs) ? route.page : null;
  const identity = [route.page, ...route.rest].join("/");
  return html`<a class="skip" href="#main" onClick=${skip}>${T.skip}</a>
    <header><a class="brand" href=${linkTo("schedules")}>${T.title}</a>
      <div class="who"><a href=${linkTo("account")}>${me.name}</a>${me.role && html` <span>(${T.roles[me.role]})</span>`}
        <${BusyButton} label=${T.logOut} act=${() => logOut(false)} /></div></header>
    <div class="columns"><${Navigation} page=${route.page} can=${can} />
      <main id="main" tabindex="-1">${page
        ? html`<${LazyPage} key=${identity} name=${page} route=${route} can=${can} me=${me} />`
        : html`<${Page} title=${T.noPage.title} /><p>${T.noPage.text}</p>`}</main></div>`;
}

// The hash is the address of the page, so the link cannot use it.
function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Console() {
  const [state, setState] = useState({ phase: "starting" });
  const begin = async () => setState({ phase: "ready", me: await get("/v1/auth/me") });
  const start = async () => {
    setState({ phase: "starting" });
    try {
      if (await restore()) await begin();
      else setState({ phase: "login" });
    } catch (error) {
      setState({ phase: isLoginOff(error) ? "off" : "failed", error });
    }
  };
  useEffect(() => {
    onSessionEnd((ended, error) => setState({ phase: isLoginOff(error) ? "off" : "login", ended, error }));
    start();
  }, []);
  if (state.phase === "starting") return html`<main><${Loading} /></main>`;
  if (state.phase === "off") return html`<${LoginOff} error=${state.error} />`;
  if (state.phase === "login") return html`<${Login} ended=${state.ended} onLogin=${begin} />`;
  if (state.phase === "failed") {
    return html`<main><h1>${T.title}</h1><${ErrorBox} error=${state.error} />
      <button type="button" onClick=${start}>${T.again}</button></main>`;
  }
  return html`<${Shell} me=${state.me} />`;
}

const root = document.getElementById("console");
root.textContent = "";
render(html`<${Console} />`, root);
