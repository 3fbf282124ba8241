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

  function text(v, unit) {
    if (v == null) return "–";
    switch (unit) {
      case "ns": return span(v);
      case "per_s": return big(v) + "/s";
      case "percent": return Math.round(v * 10) / 10 + "%";
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

  function events(u) {
    var ctx = u.ctx, ratio = devicePixelRatio, top = u.bbox.top, bottom = top + u.bbox.height;
    ctx.save();
    ctx.font = 10 * ratio + "px " + color("sans");
    ctx.textBaseline = "top";
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.strokeStyle = ctx.fillStyle = color("warn");
    ctx.lineWidth = ratio;
    data.events.forEach(function (e) {
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

  function yAxis(unit, log, more) {
    var a = axis(Object.assign({
      values: function (u, splits) { return splits.map(function (v) { return v == null ? "" : text(v, unit); }); }
    }, more));
    if (log) {
      a.splits = decades;
      a.filter = function (u, splits) { return splits; };
    } else if (unit === "count") {
      a.incrs = whole;
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
        value: function (u, v) { return text(v, l.unit); }
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
      series: [{ label: byTime ? "time" : "percentile", value: function (u, v) { return v == null ? "–" : byTime ? seconds(v) : percentile(v); } }].concat(series),
      cursor: { sync: byTime ? { key: sync.key } : undefined, drag: { x: false, y: false } },
      legend: { markers: { dash: function (u, i) { return series[i - 1] && series[i - 1].dash ? "dashed" : "solid"; } } },
      hooks: byTime ? { drawClear: [phases], draw: [events] } : {}
    }, [chart.xs].concat(chart.lines.map(function (l) { return l.values; })), box);
    plots.push({ plot: plot, box: box, width: width });
  }

  function drawAll() {
    plots.forEach(function (p) { p.plot.destroy(); });
    plots = [];
    data.charts.forEach(draw);
    document.documentElement.dataset.charts = plots.length;
  }

  var waiting = 0;
  window.addEventListener("resize", function () {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(function () {
      plots.forEach(function (p) {
        var width = p.box.clientWidth;
        if (width !== p.width) p.plot.setSize({ width: p.width = width, height: width < 520 ? 200 : 260 });
      });
    });
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", function () { document.documentElement.dataset.print = ""; drawAll(); });
  window.addEventListener("afterprint", function () { delete document.documentElement.dataset.print; drawAll(); });
  drawAll();
})();
