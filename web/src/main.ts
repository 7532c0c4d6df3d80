import { mount } from "svelte";
import App from "./App.svelte";
import "./theme.css";
import { applyTheme } from "./theme.svelte.ts";

applyTheme();
const target = document.getElementById("app");
if (target !== null) mount(App, { target });
