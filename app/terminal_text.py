"""Every sentence a person reads in the terminal; those of the page are in `app.text`."""

from app.text import NAME

PURPOSE = "Adapt a vision-language model to a specialist domain with very few expert labels."

NOT_LOCAL = (
    "Without users this app answers only its own page at this computer's address, such as http://127.0.0.1:7860. To "
    "reach it under another name or through a proxy, add a user and start it again: python -m leaml user add NAME "
    "--role admin"
)
NOT_OWN = (
    "This app answers its own page alone, not other websites. If you see this on its own page, the proxy in between "
    "changes the Host header: have it pass on the one that the browser sent."
)
NOT_OURS = "This app does not answer that address: it shows its own images alone, and takes no files in this way."


def host_refused(host: str, workspace: str) -> str:
    """Say why the app does not listen to the network."""
    return (
        f"--host {host} would open your images to the network, and nobody has a password in this workspace. Add a "
        f"user first: python -m leaml --workspace {workspace} user add NAME --role admin. Or use --host 127.0.0.1."
    )


def too_few_steps(name: str, value: int) -> str:
    """Say what a number of steps may be."""
    return f"{name} is {value}, but must be at least 1."


def bad_port(port: int) -> str:
    """Say what a port may be."""
    return f"--port is {port}, but must be 1 to 65535."


def port_taken(port: int) -> str:
    """Say that something else listens there."""
    return (
        f"Port {port} is in use. Stop what runs there, or choose another: --port {port + 1 if port < 65535 else 7861}."
    )


def port_privileged(port: int) -> str:
    """Say that the system keeps a port for itself."""
    return (
        f"This user may not listen on port {port}: systems keep those below 1024 for themselves. Choose another, such "
        "as --port 7860, and put a proxy in front (docs/deployment.md)."
    )


def not_this_computer(host: str) -> str:
    """Say that a host is none to listen on."""
    return (
        f"--host {host} is no address of this computer. Use --host 127.0.0.1 for this computer alone, or --host "
        "0.0.0.0 for every network that it is in."
    )


def cannot_listen(host: str, port: int, why: str) -> str:
    """Say why the app cannot listen, in the system's words."""
    return f"It cannot listen on --host {host} --port {port}: {why}. Choose others."


def server_failed(why: str, certificates: str) -> str:
    """Say why the server does not start, in its words, and which file of certificates it was told to read."""
    told = f" SSL_CERT_FILE names {certificates}: it must be a file of certificates that this user can read."
    return f"The web server does not start: {why}.{told if certificates else ''}"


def listening(address: str, workspace: str) -> str:
    """Say where the app is."""
    return f"{NAME} is at {address} (workspace {workspace}). Stop it with Ctrl+C; training goes on."


def bad_share(option: str, value: float) -> str:
    """Say that a share is none."""
    return f"{option} is {value}, but must be between 0 and 1."
