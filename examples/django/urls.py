"""Addresses of the site: users sign in at /admin/, the voice token is in app.py."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("app"))]
