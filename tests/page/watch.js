// Runs in the page: what it shows, and what is wrong with how it shows it. look.py asks.
({
  /** Every value, with its path, its form and its text. */
  values() {
    const fields = [...document.querySelectorAll("[data-field]")];
    return {
      shown: Number(document.body.dataset.shown ?? 0),
      state: document.getElementById("state").dataset.state,
      say: document.querySelector("#state .say").textContent,
      todo: document.querySelector("#state .todo").textContent,
      title: document.title,
      text: document.body.innerText,
      sums: [...document.querySelectorAll("[data-adds]")].map(node => node.dataset.adds),
      charts: fields.filter(node => node.tagName === "svg").map(node => ({
        field: node.dataset.field, raw: node.dataset.value, label: node.getAttribute("aria-label"),
        line: node.querySelector(".line").getAttribute("d"), highest: node.parentElement.querySelector("[data-derived=highest]").textContent,
        isSeen: node.checkVisibility(),
      })),
      values: fields.filter(node => node.tagName !== "svg").map(node => ({
        field: node.dataset.field, raw: node.dataset.value, form: node.dataset.v.split(" ")[1] ?? "text", text: node.textContent,
        isSeen: node.checkVisibility(),
      })),
    };
  },

  /** Everything open, so that it can be looked at. */
  openAll() {
    for (const node of document.querySelectorAll("details")) node.open = true;
    for (const node of document.querySelectorAll("button[aria-expanded=false]")) if (node.checkVisibility()) node.click();
  },

  /** Texts whose contrast is too low. */
  contrast() {
    const parse = text => { const part = text.match(/[\d.]+/g).map(Number); return part.length > 3 ? part : [...part, 1]; };
    const over = (top, below) => [0, 1, 2].map(at => top[at] * top[3] + below[at] * (1 - top[3])).concat(1);
    const light = color => {
      const [r, g, b] = color.map(part => part / 255).map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const backOf = node => {
      const layers = [];
      for (let one = node; one; one = one.parentElement) layers.push(parse(getComputedStyle(one).backgroundColor));
      return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
    };
    const opacityOf = node => { let all = 1; for (let one = node; one; one = one.parentElement) all *= getComputedStyle(one).opacity; return all; };
    const bad = new Map(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let least = 99;
    while (walker.nextNode()) {
      const node = walker.currentNode.parentElement;
      if (!walker.currentNode.textContent.trim() || !node.checkVisibility() || ["SCRIPT", "STYLE"].includes(node.tagName) || node.closest(".spoken")) continue;
      const style = getComputedStyle(node), back = backOf(node), text = parse(style.color);
      text[3] *= opacityOf(node);
      const [one, other] = [light(over(text, back)), light(back)].sort((a, b) => b - a);
      const ratio = (one + 0.05) / (other + 0.05), size = parseFloat(style.fontSize);
      const isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
      least = Math.min(least, ratio);
      if (ratio < (isLarge ? 3 : 4.5)) bad.set(`${node.tagName}.${node.className} ${node.textContent.trim().slice(0, 30)}`, ratio.toFixed(2));
    }
    return { bad: [...bad], least: Number(least.toFixed(2)) };
  },

  /** What a screen reader or a keyboard would miss. */
  access() {
    const problems = [], all = selector => [...document.querySelectorAll(selector)];
    const nameOf = node => (node.getAttribute("aria-label") || node.textContent || "").trim();
    const seen = node => node.checkVisibility();
    if (document.documentElement.lang !== "en") problems.push("the language is not said");
    if (all("h1").length !== 1) problems.push(`${all("h1").length} h1`);
    for (const tag of ["header", "main", "footer"]) if (all(tag).filter(node => !node.closest("section") || tag !== "header").length !== 1) problems.push(`not one ${tag}`);
    if (!document.title.trim()) problems.push("no title");
    if (all("[aria-live=polite]").length !== 1) problems.push("not one live region");
    for (const node of all("a, button, summary").filter(seen)) if (!nameOf(node)) problems.push(`a ${node.tagName} without a name`);
    for (const node of all("button").filter(seen)) if (node.tabIndex < 0) problems.push(`${nameOf(node)}: the keyboard does not reach it`);
    for (const node of all("section").filter(seen)) if (!node.getAttribute("aria-label") && !node.getAttribute("aria-labelledby")) problems.push("a section without a name");
    for (const node of all("progress").filter(seen)) if (!node.getAttribute("aria-label")) problems.push("a progress bar without a name");
    for (const node of all("svg").filter(seen)) if (node.getAttribute("role") !== "img" || !node.getAttribute("aria-label")) problems.push("a chart without a text");
    for (const table of all("table").filter(seen)) {
      if (!table.caption?.textContent.trim()) problems.push("a table without a caption");
      for (const cell of table.querySelectorAll("thead th")) if (cell.scope !== "col") problems.push(`${cell.textContent}: no scope`);
      for (const cell of table.querySelectorAll("tbody th")) if (cell.scope !== "row") problems.push(`${cell.textContent}: no scope`);
      if (!table.querySelector("thead th") || [...table.tBodies[0].rows].some(row => !row.querySelector("th"))) problems.push("a table without headers");
    }
    let level = 0;
    for (const node of all("h1, h2, h3").filter(seen)) {
      const now = Number(node.tagName[1]);
      if (now > level + 1) problems.push(`${node.textContent}: a heading is left out before it`);
      level = now;
    }
    // Never by colour alone: a symbol and a word.
    for (const node of all(".badge, .phase").filter(seen)) if (!/^\S+ \S/.test(node.textContent)) problems.push(`${node.textContent}: no symbol and word`);
    return problems;
  },

  /** How much wider than the window the page is, and what sticks out. */
  width() {
    const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    const out = wide > 0 ? [...document.querySelectorAll("body *")].filter(node => node.getBoundingClientRect().right > innerWidth + 1).slice(0, 3) : [];
    return { wide, out: out.map(node => `${node.tagName}.${node.className}`) };
  },
})
