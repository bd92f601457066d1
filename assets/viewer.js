/* The image viewer of Label, Review and Compare: zoom, pan, brightness and contrast. Loaded in <head> before app.js.
 *
 * Wheel, + and - zoom at the pointer or else the middle, Z and a double click go from the whole image to its own pixels and
 * back, dragging or the arrow keys move it, dragging with the right button changes brightness and contrast as in a
 * radiology viewer. What is set belongs to one image: the same image drawn again keeps it, another one starts anew. A clip
 * shows one of its frames like an image, by click or with the keys , and . and P plays it in the same place.
 */
window.leamlViewer = (() => {
  const START = { scale: 1, x: 0, y: 0, brightness: 100, contrast: 100 };
  const STEP = 1.4, MOVE_PX = 60, LEAST_ZOOM = 2, MOST_ZOOM = 12;
  const LIGHT = { brightness: [40, 250], contrast: [40, 300] };
  const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const panels = new Set();
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const boxOf = (panel) => panel.querySelector('.image');

  function attach(panel) {
    panels.add(panel);
    panel.addEventListener('wheel', (e) => wheel(panel, e), { passive: false });
    panel.addEventListener('pointerdown', (e) => press(panel, e));
    for (const moved of ['pointermove', 'pointerleave']) panel.addEventListener(moved, (e) => { panel.pointer = onImage(e) ? e : null; });
    panel.addEventListener('dblclick', (e) => { if (onImage(e)) toggle(panel, e); });
    panel.addEventListener('contextmenu', (e) => { if (onImage(e)) e.preventDefault(); });
    panel.addEventListener('input', (e) => { if (LIGHT[e.target.dataset?.light]) set(panel, { [e.target.dataset.light]: +e.target.value }); });
  }

  /* Called whenever the panel was drawn. */
  function show(panel) {
    const box = boxOf(panel), image = box?.querySelector('img');
    if (!image) return;
    const src = image.dataset.drawn ??= image.getAttribute('src');  // a frame may have taken its place since
    if (panel.view?.src !== src) panel.view = { ...START, src };
    else if (panel.view.frame) image.src = panel.view.frame;
    if (box.classList.contains('clip')) showClip(panel);
    box.classList.toggle('loading', !image.complete);
    image.onload = image.onerror = () => { box.classList.remove('loading'); draw(panel); };
    draw(panel);
  }

  function onImage(e) {
    return e.target.closest('.image') && !e.target.closest('.tools,.light,.strip,video');
  }

  /* Of a clip: mark the frame that is shown large, and say so where the browser cannot play it. */
  function showClip(panel) {
    const box = boxOf(panel), shown = box.querySelector('img').src, video = box.querySelector('video');
    for (const button of box.querySelectorAll('.frame')) button.setAttribute('aria-pressed', button.querySelector('img').src === shown);
    video.onerror = () => { if (!video.hidden) { play(panel, false); box.querySelector('.unplayable').hidden = false; } };
  }

  function frame(panel, button) {
    play(panel, false);
    panel.view.frame = button.querySelector('img').src;
    boxOf(panel).querySelector('img').src = panel.view.frame;
    showClip(panel);
  }

  function step(panel, by) {
    const frames = [...boxOf(panel).querySelectorAll('.frame')];
    const at = frames.findIndex((button) => button.getAttribute('aria-pressed') === 'true');
    frame(panel, frames[clamp(at + by, 0, frames.length - 1)]);
  }

  function play(panel, on) {
    const box = boxOf(panel), video = box.querySelector('video');
    video.hidden = !on;
    box.querySelector('[data-local=play]').setAttribute('aria-pressed', on);
    box.querySelector('.unplayable').hidden = true;
    if (on) video.play().catch(() => {}); else video.pause();  // what cannot be played fires an error, told above
  }

  /* The size of the whole image as it is drawn at scale 1, and of its box, CSS pixels. */
  function sizes(panel) {
    const box = boxOf(panel).querySelector('.seen'), image = box.querySelector('img');
    const fit = Math.min(box.clientWidth / (image.naturalWidth || 1), box.clientHeight / (image.naturalHeight || 1));
    return { box, fit, width: image.naturalWidth * fit, height: image.naturalHeight * fit };
  }

  function set(panel, change) {
    const view = panel.view, { box, width, height } = sizes(panel);
    Object.assign(view, change);
    const beyond = (size, room) => Math.max(0, (size * view.scale - room) / 2);
    view.x = clamp(view.x, -beyond(width, box.clientWidth), beyond(width, box.clientWidth));
    view.y = clamp(view.y, -beyond(height, box.clientHeight), beyond(height, box.clientHeight));
    for (const [name, [low, high]] of Object.entries(LIGHT)) view[name] = Math.round(clamp(view[name], low, high));
    draw(panel);
  }

  function draw(panel) {
    const box = boxOf(panel), image = box?.querySelector('img'), view = panel.view;
    if (!image || !view) return;
    const lit = view.brightness !== 100 || view.contrast !== 100;
    image.style.transform = view.scale === 1 ? '' : `translate(${view.x}px,${view.y}px) scale(${view.scale})`;
    image.style.filter = lit ? `brightness(${view.brightness / 100}) contrast(${view.contrast / 100})` : '';
    box.classList.toggle('zoomed', view.scale > 1);
    box.classList.toggle('lit', !!panel.light);
    box.querySelector('[data-local=zoom]')?.setAttribute('aria-pressed', view.scale > 1);
    const light = box.querySelector('.tools [data-local=light]');
    light?.setAttribute('aria-expanded', !!panel.light);
    light?.classList.toggle('changed', lit);
    const scale = box.querySelector('.scale');
    if (scale) scale.textContent = `${view.scale.toFixed(1)}×`;
    for (const slider of box.querySelectorAll('[data-light]')) {
      slider.value = view[slider.dataset.light];
      slider.setAttribute('aria-valuetext', `${slider.value}%`);
    }
  }

  /* Zoom so that what lies under the pointer, or in the middle, stays where it is. */
  function zoom(panel, scale, at) {
    const view = panel.view, box = boxOf(panel).querySelector('.seen').getBoundingClientRect();
    const next = clamp(scale, 1, MOST_ZOOM), factor = next / view.scale;
    const px = at ? at.clientX - box.left - box.width / 2 : 0, py = at ? at.clientY - box.top - box.height / 2 : 0;
    set(panel, { scale: next, x: px - (px - view.x) * factor, y: py - (py - view.y) * factor });
  }

  function toggle(panel, at) {
    // An image that is drawn at its own size or larger is doubled: its own pixels would show nothing new.
    const target = Math.max(LEAST_ZOOM, 1 / (sizes(panel).fit * (window.devicePixelRatio || 1)));
    zoom(panel, panel.view.scale > 1 ? 1 : target, at);
  }

  function wheel(panel, e) {
    if (!onImage(e) || !panel.view) return;
    // At the end of the range the wheel scrolls the page as everywhere.
    if (e.deltaY > 0 ? panel.view.scale <= 1 : panel.view.scale >= MOST_ZOOM) return;
    e.preventDefault();
    zoom(panel, panel.view.scale * Math.exp(clamp(-e.deltaY, -120, 120) * 0.003), e);
  }

  function press(panel, e) {
    const view = panel.view, box = boxOf(panel), lighting = e.button === 2;
    if (!onImage(e) || !view || !(lighting || (e.button === 0 && view.scale > 1))) return;
    const from = { ...view }, startX = e.clientX, startY = e.clientY;
    const move = (now) => {
      const dx = now.clientX - startX, dy = now.clientY - startY;
      if (panel.view !== view) end();
      else if (lighting) set(panel, { contrast: from.contrast + dx / 2, brightness: from.brightness - dy / 2 });
      else set(panel, { x: from.x + dx, y: from.y + dy });
    };
    const end = () => {
      box.classList.remove('held');
      for (const [name, heard] of [['pointermove', move], ['pointerup', end], ['pointercancel', end]]) window.removeEventListener(name, heard);
    };
    box.classList.add('held');
    window.addEventListener('pointermove', move);
    window.addEventListener('pointerup', end);
    window.addEventListener('pointercancel', end);
    e.preventDefault();
  }

  document.addEventListener('keydown', (e) => {
    const arrow = ARROWS[e.key];
    if (!arrow || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey) return;
    if (e.target !== document.body && !(e.target.closest?.('.image') && e.target.tagName !== 'INPUT')) return;
    for (const panel of panels) {
      // Where arrow keys lead to other images they keep doing so.
      if (!panel.isConnected || !panel.getClientRects().length || !(panel.view?.scale > 1) || panel.querySelector('[data-key=arrowleft]')) continue;
      e.preventDefault();
      set(panel, { x: panel.view.x + arrow[0] * MOVE_PX, y: panel.view.y + arrow[1] * MOVE_PX });
    }
  });
  window.addEventListener('resize', () => { for (const panel of panels) if (panel.isConnected && panel.view && boxOf(panel)) set(panel, {}); });

  /* What the buttons over the image do. */
  const local = {
    zoom: (panel) => toggle(panel, panel.pointer),
    closer: (panel) => zoom(panel, panel.view.scale * STEP, panel.pointer),
    away: (panel) => zoom(panel, panel.view.scale / STEP, panel.pointer),
    plain: (panel) => set(panel, { brightness: 100, contrast: 100 }),
    frame,
    earlier: (panel) => step(panel, -1),
    later: (panel) => step(panel, 1),
    play: (panel) => play(panel, boxOf(panel).querySelector('video').hidden),
    light(panel) {
      panel.light = !panel.light;
      draw(panel);
      if (panel.light) boxOf(panel).querySelector('[data-light]').focus();
      else document.activeElement?.blur();
    },
  };
  return { attach, show, local };
})();
