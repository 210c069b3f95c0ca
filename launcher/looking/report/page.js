// Moves through the grids; without it the page shows the newest one large and all of them small.
(() => {
  const viewer = document.getElementById("viewer");
  const grids = [...document.querySelectorAll("#strip figure")];
  if (!viewer || grids.length < 2) return;
  const image = viewer.querySelector("img");
  const step = viewer.querySelector("output");
  const range = viewer.querySelector("input");
  const play = viewer.querySelector("button");
  let timer = 0;

  const show = (index) => {
    const chosen = grids[index].querySelector("img");
    image.src = chosen.src;
    image.alt = chosen.alt;
    step.textContent = grids[index].querySelector("figcaption").textContent;
    grids.forEach((grid, place) => grid.classList.toggle("chosen", place === index));
    range.value = index;
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "▶";
  };

  range.addEventListener("input", () => { stop(); show(Number(range.value)); });
  grids.forEach((grid, index) => grid.addEventListener("click", () => { stop(); show(index); }));
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "❚❚";
    timer = setInterval(() => show((Number(range.value) + 1) % grids.length), 400);
  });
  document.getElementById("strip").classList.add("choosable");
  viewer.querySelector(".controls").hidden = false;
  show(grids.length - 1);
})();
