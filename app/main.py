"""Puts the screens together: one page with a tab a screen, our theme, our keys. Also serves it."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import gradio as gr
from starlette.middleware import Middleware

from app import compare, label, people_text, project, review, terminal_text, text, train
from app.errors import InputError, shown_to_people
from app.listening import in_url, require_free
from app.own_page import OwnPage
from app.person import who
from app.screen import Screen, header_of, in_turn
from app.services import Services
from app.settings import Settings
from app.sign_in import SignIn, say_signed_out
from app.view import header as header_html

ASSETS = Path(__file__).parent.parent / "assets"
APP = ASSETS.parent / "app.py"
SCRIPTS = ("viewer.js", "app.js")
SCREENS: dict[str, ModuleType] = {
    "project": project,
    "label": label,
    "train": train,
    "review": review,
    "compare": compare,
}
HEADER_TICK_S = 5.0
"""How often a page on which somebody has looked at runs asks what these have made meanwhile, whatever tab is open."""
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif"]


def serve(settings: Settings, argv: Sequence[str]) -> None:
    """Serve the app until it is stopped; where another project is opened, go on in its workspace.

    Args:
        settings: How to run.
        argv: What they were read from: all of it but the workspace holds for the next project too.

    Raises:
        LeamlError: If it cannot start.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a service manager's stop closes the store too
    with Services.open(settings) as services:
        following = launch(build_app(services), services)
    if following is not None:
        # A new program in the same process: Gradio keeps one workspace's folder for as long as it lives.
        kept = argv[:-2] if argv[-2:-1] == ["--workspace"] else argv
        os.execv(sys.executable, [sys.executable, str(APP), *kept, "--workspace", str(following)])


def build_app(services: Services) -> gr.Blocks:
    """Return the whole page."""
    with gr.Blocks(title=text.NAME, fill_width=True, analytics_enabled=False) as page:
        header = build_header(services)
        with gr.Tabs(elem_id="tabs"):
            for name, module in SCREENS.items():
                with gr.Tab(text.TABS[name], id=name, elem_id=f"tab-{name}", render_children=True) as tab:
                    screen: Screen = module.build(services, header)
                redraw = shown_to_people(screen.redraw)
                tab.select(redraw, list(screen.inputs), list(screen.outputs), **in_turn(name))
                page.load(redraw, list(screen.inputs), list(screen.outputs), **in_turn(name))
    return page


def build_header(services: Services) -> gr.HTML:
    """Return the header, which goes on asking how things stand when whoever has looked at runs waits on another tab."""

    def tick(request: gr.Request) -> str:
        services.note_finished(wait=False)
        return header_of(who(services, request.username))

    follows = f"leaml.follow(element, trigger, {HEADER_TICK_S:g})"
    header = gr.HTML(header_html("", {}), elem_id="header", apply_default_css=False, js_on_load=follows)
    # One whose answer is lost (see `wake` in assets/app.js) must not be the last.
    header.tick(tick, None, [header], trigger_mode="multiple", **in_turn("header"))
    return header


def launch(page: gr.Blocks, services: Services) -> Path | None:
    """Serve the page until Ctrl+C, or until another project is opened; return the workspace of that one.

    Raises:
        InputError: If it cannot listen where it should, or the server does not start.
    """
    settings = services.settings
    require_free(settings.host, settings.port)
    # A page that is closed must not end a decision being saved, so the queue stays small and quick.
    page.queue(default_concurrency_limit=4)
    try:
        _, address, _ = page.launch(
            server_name=in_url(settings.host),
            server_port=settings.port,
            auth=SignIn(services.store.users).check if services.needs_sign_in else None,
            auth_message=people_text.SIGN_IN,
            share=False,  # or the environment could open a tunnel to the world
            quiet=True,
            prevent_thread_lock=True,
            show_error=True,
            footer_links=[],
            run_history=False,
            max_file_size=1,  # bytes: nothing of ours is uploaded by Gradio's way
            app_kwargs={
                "middleware": [Middleware(OwnPage, local=not services.needs_sign_in)],
                "exception_handlers": {401: say_signed_out},
            },
            # Only images may be read through the page: neither the database nor models.
            allowed_paths=[str(settings.workspace / "images")],
            favicon_path=str(ASSETS / "icon.svg"),
            theme=theme(),
            css_paths=[ASSETS / "app.css"],
            head="".join(f"<script>{(ASSETS / name).read_text()}</script>" for name in SCRIPTS),
        )
    except OSError as error:
        certificates = os.environ.get("SSL_CERT_FILE", "")
        raise InputError(terminal_text.server_failed(str(error), certificates)) from error
    print(terminal_text.listening(address, str(settings.workspace)), flush=True)
    try:
        services.leaving.wait()
    except KeyboardInterrupt:  # SIGTERM too
        services.following = None
    page.close(verbose=False)  # before the store: nobody may ask it anything any more
    return services.following


def theme() -> gr.themes.Base:
    """Return Gradio's plainest theme in our colours; everything else is in assets/app.css."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal, neutral_hue=gr.themes.colors.slate, font=FONT, font_mono=["monospace"]
    ).set(
        body_background_fill="#f6f8f9",
        # The page to sign in has these two side by side, with no style of ours: one ground instead of white stripes.
        background_fill_primary="#f6f8f9",
        background_fill_secondary="#f6f8f9",
        block_background_fill="#ffffff",
        body_text_color="#14212b",
        body_text_color_subdued="#56656f",
        block_label_text_color="#56656f",
        block_title_text_color="#56656f",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#0b5a54",
        button_primary_text_color="#ffffff",
        input_border_color="#b9c5cc",
        input_border_color_focus="#0f766e",
        border_color_primary="#e1e7eb",
    )
