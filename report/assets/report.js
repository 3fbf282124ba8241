(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var plots = [];
  var sync = uPlot.sync("time");

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  }

  function three(v) {
    return v >= 100 ? v.toFixed(0) : String(Number(v.toPrecision(3)));
  }

  function span(ns) {
    var a = Math.abs(ns);
    if (a >= 1e9) return three(ns / 1e9) + " s";
    if (a >= 1e6) return three(ns / 1e6) + " ms";
    if (a >= 1e3) return three(ns / 1e3) + " µs";
    return three(ns) + " ns";
  }

  function big(v) {
    return (v >= 100 ? Math.round(v) : Math.round(v * 100) / 100).toLocaleString("en-US");
  }

  function bytes(v) {
    if (v >= 1073741824) return three(v / 1073741824) + " GiB";
    if (v >= 1048576) return three(v / 1048576) + " MiB";
    if (v >= 1024) return three(v / 1024) + " KiB";
    return three(v) + " B";
  }

  function text(v, unit) {
    if (v == null) return "–";
    switch (unit) {
      case "ns": return span(v);
      case "per_s": return big(v) + "/s";
      case "percent": return Math.round(v * 10) / 10 + "%";
      case "cores": return three(v);
      case "bytes": return bytes(v);
    }
    return Math.round(v).toLocaleString("en-US");
  }

  function percentile(x) {
    return "p" + Number((100 - 100 / x).toFixed(6));
  }

  function seconds(v) {
    if (v == null) return "–";
    if (v < 120) return Math.round(v * 10) / 10 + " s";
    return Math.floor(v / 60) + " min " + Math.round(v % 60) + " s";
  }

  // Phases are shaded behind the lines, with their names on top; events are numbered as the table of events has them.
  function phases(u) {
    var ctx = u.ctx, ratio = devicePixelRatio, top = u.bbox.top, bottom = top + u.bbox.height, right = u.bbox.left + u.bbox.width;
    ctx.save();
    ctx.font = 11 * ratio + "px " + color("sans");
    ctx.textBaseline = "bottom";
    data.phases.forEach(function (p) {
      var from = Math.max(u.valToPos(p.from, "x", true), u.bbox.left), to = Math.min(u.valToPos(p.to, "x", true), right);
      if (to <= from) return;
      if (p.measured) {
        ctx.fillStyle = color("band");
        ctx.fillRect(from, top, to - from, bottom - top);
      }
      ctx.fillStyle = color("line");
      ctx.fillRect(from, top - 14 * ratio, ratio, bottom - top + 14 * ratio);
      if (ctx.measureText(p.name).width < to - from - 6 * ratio) {
        ctx.fillStyle = color(p.measured ? "soft" : "faint");
        ctx.fillText(p.name, from + 4 * ratio, top - 2 * ratio);
      }
    });
    ctx.restore();
  }

  // Stretches in which deliveries came much later than usual.
  function late(u) {
    var ctx = u.ctx, ratio = devicePixelRatio, top = u.bbox.top, bottom = top + u.bbox.height, right = u.bbox.left + u.bbox.width;
    ctx.save();
    ctx.font = 11 * ratio + "px " + color("sans");
    ctx.textBaseline = "top";
    data.late.forEach(function (l) {
      var from = Math.max(u.valToPos(l.from, "x", true), u.bbox.left), to = Math.min(u.valToPos(l.to, "x", true), right);
      ctx.fillStyle = color("late");
      ctx.fillRect(from, top, Math.max(to - from, 2 * ratio), bottom - top);
      if (u.scales.y.distr === 3 && ctx.measureText(l.text).width < to - from - 8 * ratio) {
        ctx.fillStyle = color("bad");
        ctx.fillText(l.text, from + 4 * ratio, top + 4 * ratio);
      }
    });
    ctx.restore();
  }

  function events(u) {
    var ctx = u.ctx, ratio = devicePixelRatio, top = u.bbox.top, bottom = top + u.bbox.height;
    ctx.save();
    ctx.font = 10 * ratio + "px " + color("sans");
    ctx.textBaseline = "top";
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.lineWidth = ratio;
    data.events.forEach(function (e) {
      ctx.strokeStyle = ctx.fillStyle = color(e.bad ? "bad" : "warn");
      var x = Math.round(u.valToPos(e.at, "x", true));
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
      ctx.beginPath();
      ctx.moveTo(x, top);
      ctx.lineTo(x, bottom);
      ctx.stroke();
      ctx.fillText(e.number, x + 3 * ratio, top + 2 * ratio);
    });
    ctx.restore();
  }

  function axis(more) {
    return Object.assign({
      stroke: color("soft"), font: "11px " + color("sans"), labelFont: "11px " + color("sans"),
      grid: { stroke: color("line"), width: 1 }, ticks: { show: false }, gap: 6, size: 30
    }, more);
  }

  function nines(u) {
    var splits = [2], max = u.scales.x.max;
    for (var x = 10; x <= max * 1.001; x *= 10) splits.push(x);
    if (splits.length < 3 && max > 4) splits.splice(1, 0, 4);
    return splits.filter(function (x) { return x <= max * 1.001; });
  }

  // A logarithmic axis has lines at its decades, and at 2 and 5 between them where there are few.
  function decades(u, i, min, max) {
    var splits = [], few = max / min <= 1001;
    for (var x = Math.pow(10, Math.floor(Math.log10(min))); x <= max * 1.001; x *= 10) {
      splits.push(x);
      if (few) splits.push(2 * x, 5 * x);
    }
    return splits.filter(function (x) { return x >= min * 0.999 && x <= max * 1.001; });
  }

  var whole = [];
  for (var magnitude = 1; magnitude < 1e12; magnitude *= 10) whole.push(magnitude, 2 * magnitude, 5 * magnitude);

  var binary = [];
  for (var power = 1; power < 1e15; power *= 2) binary.push(power);

  function yAxis(unit, log, more) {
    var a = axis(Object.assign({
      values: function (u, splits) { return splits.map(function (v) { return v == null ? "" : text(v, unit); }); }
    }, more));
    if (log) {
      a.splits = decades;
      a.filter = function (u, splits) { return splits; };
    } else if (unit === "count" || unit === "bytes") {
      a.incrs = unit === "count" ? whole : binary;
    }
    return a;
  }

  function draw(chart) {
    var box = document.getElementById(chart.id);
    if (!box) return;
    var byTime = chart.x === "time", left = null, right = null;
    var series = chart.lines.map(function (l) {
      if (l.right) right = l.unit; else left = l.unit;
      return {
        label: l.label, scale: l.right ? "right" : "y", stroke: color(l.color), width: 1.75, spanGaps: false,
        dash: l.dash ? [5, 4] : undefined, points: { show: chart.xs.length < 3, size: 5 },
        paths: l.step ? uPlot.paths.stepped({ align: -1 }) : undefined,
        value: function (u, v) { return u.cursor.idx == null ? "" : text(v, l.unit); }
      };
    });
    function fromZero(u, min, max) { return [0, max > 0 ? max * 1.08 : 1]; }
    var end = data.phases.length ? data.phases[data.phases.length - 1].to : 1;
    var scales = { x: byTime ? { time: false, range: function () { return [0, end]; } } : { time: false, distr: 3, range: function (u, min, max) { return [min, Math.max(max, min * 10)]; } } };
    scales.y = chart.log ? { distr: 3 } : { range: fromZero };
    var axes = [
      axis(byTime ? { values: function (u, s) { return s.map(seconds); }, space: 80, grid: { show: false } }
        : { splits: nines, values: function (u, s) { return s.map(percentile); }, filter: function (u, s) { return s; } }),
      yAxis(left, chart.log, { scale: "y", size: 68 })
    ];
    if (right) {
      scales.right = { range: fromZero };
      axes.push(yAxis(right, false, { scale: "right", side: 1, size: 60, grid: { show: false } }));
    }
    var width = box.clientWidth, height = width < 520 ? 200 : 260;
    var plot = new uPlot({
      width: width, height: height, scales: scales, axes: axes, padding: [byTime ? 20 : 10, right ? 4 : 16, 0, 0],
      series: [{ label: byTime ? "time" : "percentile", value: function (u, v) { return v == null ? "" : byTime ? seconds(v) : percentile(v); } }].concat(series),
      cursor: { sync: byTime ? { key: sync.key } : undefined, drag: { x: false, y: false } },
      legend: { markers: { dash: function (u, i) { return series[i - 1] && series[i - 1].dash ? "dashed" : "solid"; } } },
      hooks: byTime ? { drawClear: [phases, late], draw: [events] } : {}
    }, [chart.xs].concat(chart.lines.map(function (l) { return l.values; })), box);
    plots.push({ plot: plot, box: box, width: width });
    walk(box, chart.title, chart.xs.length, function (i) {
      plot.setCursor({ left: plot.valToPos(chart.xs[i], "x"), top: plot.over.clientHeight / 2 });
      return [byTime ? seconds(chart.xs[i]) : percentile(chart.xs[i])].concat(chart.lines.map(function (l) {
        return l.label + " " + text(l.values[i], l.unit);
      })).join(", ");
    });
  }

  // Arrow keys, Home and End go through a chart's points; a screen reader hears each.
  function walk(box, title, count, show) {
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", title + ". Arrow keys tell its values; the table below has them too.");
    var said = box.querySelector(".said") || box.appendChild(document.createElement("div")), at = -1;
    said.className = "said";
    said.setAttribute("aria-live", "polite");
    box.onkeydown = function (e) {
      var last = count - 1, step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -at, End: last - at }[e.key];
      if (step == null || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      at = e.key === "Home" ? 0 : Math.max(0, Math.min(last, at < 0 && step < 0 ? last : at + step));
      said.textContent = show(at);
    };
  }

  function mix(a, b, share) {
    return a.map(function (v, i) { return Math.round(v + (b[i] - v) * share); });
  }

  function rgb(name) {
    var hex = color(name);
    return [1, 3, 5].map(function (i) { return parseInt(hex.slice(i, i + 2), 16); });
  }

  // One hue from little to much, so that it is read without telling colours apart.
  function shades() {
    var stops = [rgb("heat0"), rgb("heat1"), rgb("heat2")], list = [];
    for (var i = 0; i < 64; i++) {
      var at = i / 31.5, k = Math.min(Math.floor(at), 1);
      list.push("rgb(" + mix(stops[k], stops[k + 1], at - k).join(",") + ")");
    }
    return list;
  }

  function heatmap(h) {
    var box = document.getElementById(h.id);
    if (!box) return;
    box.textContent = "";
    var width = box.clientWidth, height = width < 520 ? 220 : 300, ratio = devicePixelRatio;
    var left = 68, right = 16, top = 20, bottom = 30, inner = width - left - right, tall = height - top - bottom;
    var canvas = box.appendChild(document.createElement("canvas")), ctx = canvas.getContext("2d");
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.setAttribute("aria-hidden", "true");
    // Sizes by the object model: the policy forbids style attributes.
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    ctx.scale(ratio, ratio);
    ctx.font = "11px " + color("sans");
    var rows = h.edges.length - 1, end = data.phases.length ? data.phases[data.phases.length - 1].to : h.times[h.times.length - 1];
    var colors = shades(), most = 1;
    h.cells.forEach(function (c) { for (var i = 1; i < c.length; i += 2) most = Math.max(most, c[i]); });
    function x(t) { return left + inner * t / end; }
    function y(row) { return top + tall * (1 - row / rows); }
    data.phases.forEach(function (p) {
      if (p.measured) {
        ctx.fillStyle = color("band");
        ctx.fillRect(x(p.from), top, x(p.to) - x(p.from), tall);
      }
      ctx.fillStyle = color("line");
      ctx.fillRect(x(p.from), top - 14, 1, tall + 14);
      if (ctx.measureText(p.name).width < x(p.to) - x(p.from) - 6) {
        ctx.fillStyle = color(p.measured ? "soft" : "faint");
        ctx.fillText(p.name, x(p.from) + 4, top - 4);
      }
    });
    h.cells.forEach(function (cells, i) {
      var from = x(h.times[i]), to = x(h.times[i + 1]);
      for (var k = 0; k < cells.length; k += 2) {
        ctx.fillStyle = colors[Math.round(63 * Math.log(1 + cells[k + 1]) / Math.log(1 + most))];
        ctx.fillRect(from, y(cells[k] + 1), Math.max(to - from, 1) + 0.3, tall / rows + 0.3);
      }
    });
    ctx.fillStyle = color("soft");
    ctx.textAlign = "right";
    ctx.textBaseline = "middle";
    var lastAt = Infinity;
    h.edges.forEach(function (edge, i) {
      var digits = edge > 0 ? Math.round(edge / Math.pow(10, Math.floor(Math.log10(edge) + 1e-9))) : 0;
      if (digits !== 1 && (digits !== 2 && digits !== 5 || rows > 32) || edge / Math.pow(10, Math.floor(Math.log10(edge) + 1e-9)) % 1 > 1e-6 || lastAt - y(i) < 14) return;
      lastAt = y(i);
      ctx.fillText(span(edge), left - 8, y(i));
    });
    ctx.textAlign = "center";
    ctx.textBaseline = "top";
    var step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200].filter(function (s) { return inner * s / end >= 70; })[0] || end;
    for (var t = 0; t <= end; t += step) ctx.fillText(seconds(t), x(t), top + tall + 8);
    var line = box.appendChild(document.createElement("p"));
    line.className = "heat-line";
    function legend() {
      line.textContent = "1 delivery";
      var ramp = line.appendChild(document.createElement("i"));
      ramp.style.background = "linear-gradient(to right," + colors.join(",") + ")";
      line.appendChild(document.createTextNode(big(most) + " deliveries in a cell"));
    }
    function column(i, row) {
      var cells = h.cells[i], total = 0, peak = -1, peakAt = 0, here = 0;
      for (var k = 0; k < cells.length; k += 2) {
        total += cells[k + 1];
        if (cells[k + 1] > peak) { peak = cells[k + 1]; peakAt = cells[k]; }
        if (cells[k] === row) here = cells[k + 1];
      }
      function range(r) { return span(h.edges[r]) + " to " + span(h.edges[r + 1]); }
      var when = seconds(h.times[i]) + " to " + seconds(h.times[i + 1]) + ": ";
      if (!total) return when + "no delivery";
      if (row != null) return when + big(here) + " of " + big(total) + " deliveries took " + range(row);
      return when + big(total) + " deliveries, most of them took " + range(peakAt) + ", the slowest " + range(cells[cells.length - 2]);
    }
    legend();
    canvas.onmousemove = function (e) {
      var at = (e.offsetX - left) / inner * end, row = Math.floor((1 - (e.offsetY - top) / tall) * rows);
      for (var i = 0; i < h.cells.length; i++) {
        if (at >= h.times[i] && at < h.times[i + 1] && row >= 0 && row < rows) { line.textContent = column(i, row); return; }
      }
      legend();
    };
    canvas.onmouseleave = legend;
    walk(box, h.title, h.cells.length, function (i) { return line.textContent = column(i); });
  }

  function drawAll() {
    plots.forEach(function (p) { p.plot.destroy(); });
    plots = [];
    data.charts.forEach(draw);
    if (data.heat) heatmap(data.heat);
    document.documentElement.dataset.charts = plots.length + (data.heat ? 1 : 0);
  }

  var waiting = 0;
  window.addEventListener("resize", function () {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(function () {
      plots.forEach(function (p) {
        var width = p.box.clientWidth;
        if (width === p.width) return;
        p.plot.setSize({ width: p.width = width, height: width < 520 ? 200 : 260 });
      });
      if (data.heat) heatmap(data.heat);
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", function () { document.documentElement.dataset.print = ""; drawAll(); });
  window.addEventListener("afterprint", function () { delete document.documentElement.dataset.print; drawAll(); });
  drawAll();
})();
