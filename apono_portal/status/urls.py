from django.urls import path

from apono_portal.status import views

app_name = "status"
urlpatterns = [path("", views.status, name="status")]
