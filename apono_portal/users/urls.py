"""Addresses of sign-in and of people."""

from django.urls import path

from apono_portal.users import views

app_name = "users"
urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("theme/", views.theme, name="theme"),
]
