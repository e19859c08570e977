from django.urls import path

from bench.speed.floor import views

urlpatterns = [
    path("note/", views.note, name="note"),
    path("rows/", views.rows, name="rows"),
    path("raw/", views.raw, name="raw"),
]
