// What every page loads. Alpine's CSP build: expressions in the pages are parsed, never evaluated as code.

import Alpine from "@alpinejs/csp";
import "htmx.org";
import { clusterPage } from "./cluster.js";
import { copyButton } from "./clipboard.js";
import { clusterForm } from "./form.js";
import { logView } from "./log_view.js";
import { themeChoice } from "./theme_choice.js";
import { fillTimes } from "./time.js";

Alpine.data("clusterForm", clusterForm);
Alpine.data("clusterPage", clusterPage);
Alpine.data("copyButton", copyButton);
Alpine.data("logView", logView);
Alpine.data("themeChoice", themeChoice);
Alpine.start();

fillTimes();
setInterval(fillTimes, 10000);
document.addEventListener("htmx:after:swap", () => fillTimes());
