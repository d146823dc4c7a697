"""Tasks and questions: read from files, checked, and made into requests. Evaluation and training share it."""

from services.kit.tasks.files import Checks, Loaded, load_tasks, read_tasks
from services.kit.tasks.requests import request_for

__all__ = ["Checks", "Loaded", "load_tasks", "read_tasks", "request_for"]
