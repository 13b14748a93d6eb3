"""The application as gunicorn and uWSGI import it: its servers are made at import, in the master when it is preloaded."""

from tests.processes.app import start_sync, wsgi

start_sync()
application = wsgi
