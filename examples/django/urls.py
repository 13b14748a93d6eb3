"""URLs of the site: users sign in at /admin/; the token view is in app.py."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("app"))]
