"""Runs the retrieval service: `python -m services.retrieval.main`."""

from services.kit.http import serve
from services.kit.logs import configure_logs
from services.retrieval.app import build_app
from services.retrieval.settings import RetrievalSettings


def main() -> None:
    """Serve until told to stop."""
    settings = RetrievalSettings()
    configure_logs("retrieval", settings.log_level)
    serve(build_app(settings), host=settings.host, port=settings.port)


if __name__ == "__main__":
    main()
