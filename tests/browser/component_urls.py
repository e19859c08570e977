"""The portal's addresses, and the page of components that development adds."""

from django.urls import path

from apono_portal.styleguide import components
from apono_portal.urls import urlpatterns as portal_urls

urlpatterns = [*portal_urls, path("dev/components/", components)]
