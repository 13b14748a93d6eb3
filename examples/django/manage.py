"""Django's commands: `python manage.py migrate`, `createsuperuser` (with DJANGO_SUPERUSER_PASSWORD), `runserver`."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
execute_from_command_line(sys.argv)
