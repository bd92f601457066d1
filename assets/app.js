/* Keys and clicks of the screens. Loaded in <head>; each gr.HTML panel calls leaml.attach when it appears.
 *
 * A button with data-act asks the server, through the event named in data-by (`act` by default); one with data-local
 * changes the page only. Both may have data-key, which counts while typing only inside an open .panel, or with data-typed.
 * While a decision is being saved its panel is busy and hears nothing, so no key can hit the card that follows.
 */
window.leaml = (() => {
  const panels = {}, folds = {};
  const now = () => performance.now();
  const typing = (node) => !!node.closest?.('input:not([type=radio]):not([type=checkbox]):not([type=range]),textarea,select,[contenteditable=true]');
  const shown = (node) => !!node.getClientRects().length;
  const viewer = window.leamlViewer;
  const harmless = new Set(['back', 'help', 'go', ...Object.keys(viewer.local)]);
  let followed = false;  // whether Train or Compare was open since the page was loaded
  let before = location.hash.slice(1);  // the screen that was open when the page was loaded again
  if (!before) history.replaceState(null, '', '#project');

  function attach(element, trigger, watch, events) {
    const panel = element.closest('.block') || element;
    panels[panel.id] = panel;
    panel.drafts = new Map();
    panel.choices = new Map();
    panel.addEventListener('click', (e) => {
      if (e.target.dataset.read) emptied(panel, e.target);
      const button = e.target.closest('[data-act],[data-local]');
      if (!button || button.disabled || (panel.dataset.busy && !harmless.has(button.dataset.local))) return;
      if (button.dataset.local) { local[button.dataset.local]?.(button, panel); return; }
      // Most drawings keep the button and its focus; where one was replaced, its follower gets the focus on release.
      panel.focused = button.matches(':focus') && e.detail === 0 ? button.id : '';
      send(panel, trigger, events, button);
      if (button.dataset.reopen) reopen(panel, button.dataset.reopen);
    });
    panel.addEventListener('change', (e) => {
      const field = e.target.closest('[data-change]');
      if (!field) return;
      // A choice in a list decides nothing about a card: while the panel is busy it waits instead of being lost.
      panel.choices.set(field, field.value);
      panel.waiting = () => {
        for (const [list, value] of panel.choices) list.value = value;
        send(panel, trigger, events, field);
      };
      if (!panel.dataset.busy) panel.waiting();
    });
    panel.addEventListener('change', async (e) => {
      const file = e.target.dataset.read && e.target.files[0];
      if (file) panel.querySelector(`[name=${e.target.dataset.read}]`).value = await file.text();
    });
    panel.addEventListener('input', (e) => {
      const card = e.target.closest('[data-card]')?.dataset.card;
      if (card && typing(e.target)) panel.drafts.set(`[data-card="${card}"] [name="${e.target.name}"]`, e.target.value);
    });
    viewer.attach(panel);
    panel.addEventListener('scroll', () => fade(panel), true);
    new ResizeObserver(() => fade(panel)).observe(panel);
    panel.wake = () => trigger('wake', {});
    new IntersectionObserver((seen) => {
      look(panel, seen.at(-1).isIntersecting);
      if (seen.at(-1).isIntersecting) wake(panel);
    }).observe(panel);
    // A drawing anew must not close what a person has unfolded; `toggle` does not bubble.
    panel.addEventListener('toggle', (e) => { if (e.target.dataset.fold) folds[e.target.dataset.fold] = e.target.open; }, true);
    const fresh = () => {
      keepRoom();
      for (const fold of panel.querySelectorAll('[data-fold]')) fold.open = !!folds[fold.dataset.fold];
      renew(panel);
      settle(panel);
      restore(panel);
      viewer.show(panel);
      fade(panel);
      announce(panel);
    };
    watch('value', fresh);
    fresh();
    if (before && before !== 'project') setTimeout((tab) => tab?.click(), 0, document.getElementById(`tab-${before}-button`));
    before = '';
  }

  /* A file that was corrected has the name that it had: a browser tells of no change unless nothing is chosen before. */
  function emptied(panel, input) {
    input.value = '';
    panel.querySelector(`[name=${input.dataset.read}]`).value = '';
  }

  /* Each tab keeps the room of its name in bold (assets/app.css), so that none moves when another is chosen. */
  function keepRoom() {
    for (const tab of document.querySelectorAll('#tabs [role=tab]:not([data-name])')) tab.dataset.name = tab.textContent.trim();
  }

  function send(panel, trigger, events, source) {
    const card = source.closest('[data-card]');
    const data = { ...(card ? card.dataset : {}), ...source.dataset, act: source.dataset.act || source.dataset.change };
    data.app = window.gradio_config.app_id;
    for (const field of (card || panel).querySelectorAll('input[name],textarea[name],select[name]')) data[field.name] = field.value;
    const shown = card || panel.querySelector('[data-card]');
    if (shown?.querySelector('[data-local=choose]')) data.answer = chosen(shown);
    data.seconds = Math.min(3600, spent(panel) / 1000);
    for (const draft of panel.drafts.keys()) if (panel.querySelector(draft)?.closest('[data-card]') === card) panel.drafts.delete(draft);
    panel.dataset.busy = source.dataset.by || '1';
    panel.pressed = true;
    panel.waiting = null;
    panel.choices.clear();
    // What was wrong with the last event says nothing about this one, and would cover what it brings.
    for (const close of document.querySelectorAll('.toast-body .toast-close')) close.click();
    trigger(source.dataset.by || events[0], data);
    wake(panel);
  }

  /* Gradio closes its message stream when nothing is pending; an event sent at that moment counts on the stream that
   * is about to end, and its answer stays with the server until another event opens a stream. So send another one. */
  function wake(panel) {
    clearTimeout(panel.waking);
    panel.waking = setTimeout(() => {
      panel.wake();
      if (panel.dataset.busy) wake(panel);
    }, 1000);
  }

  /* Asks the server again and again, only while somebody can see the element: not from behind another tab; and where a
   * selector is given, only while the element holds such a node. */
  function tick(element, trigger, seconds, within) {
    setInterval(() => {
      if (document.hidden || !shown(element) || (within && !element.querySelector(within))) return;
      followed ||= !within;
      trigger('tick', {});
    }, 1000 * seconds);
  }

  /* The header asks too once somebody has looked at runs: they may wait for these on any tab. Others ask for nothing. */
  function follow(element, trigger, seconds) {
    setInterval(() => { if (followed && !document.hidden) trigger('tick', {}); }, 1000 * seconds);
  }

  /* Called after every event, failed ones too. */
  function release(id) {
    const panel = panels[id];
    if (!panel) return;
    clearTimeout(panel.waking);
    setTimeout(() => {
      delete panel.dataset.busy;
      if (panel.focused && document.activeElement === document.body) panel.querySelector(`#${panel.focused}`)?.focus();
      panel.waiting?.();
    }, 20);
  }

  /* The app goes on in another workspace, as another process: load its page as soon as it answers. Stop asking where
   * this one goes on instead, having said why in place of what it says when it leaves: what is typed here must stay. */
  async function reopen(panel, leaving) {
    const id = window.gradio_config.app_id;
    let leaves = false;
    while ((leaves ||= panel.textContent.includes(leaving)) || panel.dataset.busy) {
      await new Promise((done) => setTimeout(done, 300));
      const answer = await fetch('gradio_api/app_id').then((found) => found.json()).catch(() => null);
      if (answer && answer.app_id !== id) return location.reload();
    }
  }

  /* A new card: forget what was typed or opened on the last one. */
  function renew(panel) {
    const card = panel.querySelector('[data-serial]');
    if (!card || panel.serial === card.dataset.serial) return;
    panel.serial = card.dataset.serial;
    Object.assign(panel, { spent: 0, since: null, drafts: new Map() });
    look(panel, shown(panel));
    for (const node of panel.querySelectorAll('[data-card]')) {
      node.removeAttribute('data-open');
      if (node.dataset.opens) node.dataset.open = node.dataset.opens;
      changed(node);
    }
    for (const field of panel.querySelectorAll('input,textarea')) field.value = field.defaultValue;
    const first = panel.querySelector('[data-focus]');
    if (first && shown(first) && document.activeElement === document.body) first.focus();
    for (const url of (card.dataset.preload || '').split(' ')) if (url) new Image().src = url;
  }

  /* Lists show what was drawn: where somebody has chosen before, a browser does not go by the attribute any more. */
  function settle(panel) {
    for (const list of panel.querySelectorAll('select')) {
      const drawn = [...list.options].findIndex((option) => option.defaultSelected);
      if (list.selectedIndex !== Math.max(0, drawn)) list.selectedIndex = Math.max(0, drawn);
    }
  }

  /* What was typed and not sent yet outlasts what is drawn anew beside it. */
  function restore(panel) {
    for (const [draft, value] of panel.drafts) {
      const field = panel.querySelector(draft), fold = field?.closest('details');
      if (!field || field.value === value) continue;
      field.value = value;
      if (fold) fold.open = true;
    }
  }

  /* A caption that goes on below its lower edge fades out there. */
  function fade(panel) {
    const cap = panel.querySelector('.cap');
    cap?.toggleAttribute('data-more', cap.scrollHeight - cap.scrollTop - cap.clientHeight > 4);
  }

  /* What happened and what is asked next, for those who listen: a region that is drawn anew is not read out. */
  function announce(panel) {
    if (!shown(panel)) return;
    const said = [...panel.querySelectorAll('.saved,.card.ask h1')].map((part) => part.textContent.trim()).filter(Boolean).join(' ');
    let region = document.getElementById('leaml-said');
    if (!region) {
      region = Object.assign(document.createElement('div'), { id: 'leaml-said' });
      region.setAttribute('role', 'status');
      document.body.append(region);
    }
    if (region.textContent !== said) region.textContent = said;
    // What a press brought about is in view, however far below it was pressed.
    const told = panel.querySelector('.note')?.textContent || '';
    if (panel.pressed && told && told !== panel.told) panel.querySelector('.note').scrollIntoView({ block: 'nearest' });
    Object.assign(panel, { told, pressed: false });
  }

  /* The time on a card counts while its tab and the page are looked at. */
  function look(panel, visible) {
    panel.spent = spent(panel);
    panel.since = visible && !document.hidden ? now() : null;
  }

  function spent(panel) {
    return (panel.spent || 0) + (panel.since == null ? 0 : now() - panel.since);
  }

  /* The answer that is chosen; several of them with semicolons between, as they are kept. */
  function chosen(card) {
    return [...(card?.querySelectorAll('[aria-checked=true]') ?? [])].map((option) => option.dataset.value).join('; ');
  }

  function changed(card) {
    const choosing = !!card.querySelector('[data-local=choose]');
    card.toggleAttribute('data-changed', choosing && !!card.dataset.given && chosen(card) !== card.dataset.given);
  }

  function open(card, name) {
    const same = card.dataset.open === name;
    if (!name || same) card.removeAttribute('data-open'); else card.dataset.open = name;
    const opened = name && !same && card.querySelector(`.panel.${name}`);
    const field = opened && opened.querySelector('input, textarea');
    if (field) { field.focus(); field.select(); }
    fade(card);
    if (opened) opened.scrollIntoView({ block: 'nearest' });  // in a short window the last reasons would be below it
  }

  const local = {
    choose(button) {
      const card = button.closest('[data-card]');
      if (button.getAttribute('role') === 'checkbox') button.setAttribute('aria-checked', button.getAttribute('aria-checked') !== 'true');
      else for (const option of card.querySelectorAll('[aria-checked]')) option.setAttribute('aria-checked', option === button);
      changed(card);
      const edited = card.querySelector('[name=edit_answer]');  // whoever goes on to edit the question keeps the answer
      if (edited) edited.value = chosen(card);
    },
    edit: (button) => open(button.closest('[data-card]'), 'edit'),
    reject: (button) => open(button.closest('[data-card]'), 'reject'),
    own: (button) => open(button.closest('[data-card]'), 'own'),
    back(button) { const card = button.closest('[data-card]'); open(card, null); document.activeElement?.blur(); },
    help(button, panel) { const d = panel.querySelector('dialog'); if (d.open) d.close(); else d.showModal(); },
    go: (button) => document.getElementById(`tab-${button.dataset.tab}-button`)?.click(),
  };
  for (const [name, act] of Object.entries(viewer.local)) local[name] = (button, panel) => act(panel, button);

  /* Enter saves a change where a button says so, and then nothing else. */
  const entered = (button) => button.dataset.enter !== 'changed' || !!button.closest('[data-changed]');

  /* What a key may press, what comes first first. On a keyboard without digits where they usually are (a French one), or
   * without Latin letters, it is the place of the key that counts, unless nothing has that key. */
  function keysOf(e) {
    const key = e.key.toLowerCase(), place = e.shiftKey ? null : /^(Digit|Key)(.)$/.exec(e.code);
    const foreign = place?.[1] === 'Digit' ? /[^0-9]/ : /[^\0-\x7f]/;
    return place && foreign.test(key) ? [place[2].toLowerCase(), key] : [key];
  }

  /* The button that a key presses. One in an open part of the card comes before the others. */
  function buttonOf(panel, key) {
    const found = panel.querySelectorAll(`[data-key~="${CSS.escape(key)}"]`);
    const buttons = [...found].filter((b) => shown(b) && !b.disabled && (key !== 'enter' || entered(b)));
    return buttons.find((b) => b.closest('.panel')) || buttons[0];
  }

  function visiblePanels() {
    return Object.values(panels).filter((panel) => panel.isConnected && shown(panel));
  }

  document.addEventListener('keydown', (e) => {
    if (e.repeat || e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
    const key = e.key.toLowerCase();
    const dialog = document.querySelector('dialog[open]');
    if (dialog) { if (key === '?') dialog.close(); return; }
    if (e.target.type === 'range' && key.startsWith('arrow')) return;
    const field = typing(e.target);
    if (field && !['escape', 'enter'].includes(key)) return;
    if (field && key === 'enter' && e.target.tagName !== 'INPUT') return;
    // Enter on a focused button presses that button, as everywhere; an option is chosen already, so Enter saves.
    if (key === 'enter' && e.target.closest?.('button,a,summary') && !e.target.closest('[role=radio],[role=checkbox]')) return;
    for (const panel of visiblePanels()) {
      const button = keysOf(e).map((one) => buttonOf(panel, one)).find(Boolean);
      if (!button || (field && !button.closest('.panel') && !('typed' in button.dataset))) continue;
      e.preventDefault();
      // Whoever goes on by keys has left the button that has the focus: Enter must not press it again.
      if (button.matches('[role=radio],[role=checkbox]')) button.focus();
      else if (!field && e.target !== button && !harmless.has(button.dataset.local)) e.target.blur?.();
      button.click();
      return;
    }
    if (field && key === 'escape') e.target.blur();
  });

  // A mouse click must not leave the focus on a button, a tab for one, that Enter would then press again.
  document.addEventListener('click', (e) => { if (e.detail > 0) e.target.closest?.('button')?.blur(); });

  // Nor may it leave the focus in a list of choices, which would take the screen's keys. Whoever came by Tab stays in it.
  let pointed = null;
  document.addEventListener('pointerdown', (e) => { pointed = e.target.closest?.('select'); });
  document.addEventListener('focusout', (e) => { if (e.target === pointed) pointed = null; });
  document.addEventListener('change', (e) => { if (e.target === pointed) e.target.blur(); });

  // The address names the screen, so that loading the page again comes back to it.
  document.addEventListener('click', (e) => {
    const name = /^tab-(\w+)-button$/.exec(e.target.closest?.('[role=tab]')?.id)?.[1];
    if (!name) return;
    if (location.hash !== `#${name}`) history.pushState(null, '', `#${name}`);
    setTimeout(() => window.dispatchEvent(new Event('resize')), 60);  // a chart that was hidden learns how wide it is
  });
  window.addEventListener('popstate', () => document.getElementById(`tab-${location.hash.slice(1)}-button`)?.click());

  // The look is light only: a browser that prefers dark must not mix the two.
  const light = () => { if (document.body.classList.contains('dark')) document.body.classList.remove('dark'); };
  function stayLight() {
    new MutationObserver(light).observe(document.body, { attributes: true, attributeFilter: ['class'] });
    light();
  }
  if (document.body) stayLight(); else document.addEventListener('DOMContentLoaded', stayLight);
  document.addEventListener('visibilitychange', () => {
    for (const panel of Object.values(panels)) look(panel, shown(panel));
  });
  return { attach, release, tick, follow };
})();
