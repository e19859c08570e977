"""Where static files are: whitenoise's storage, which remembers each address it has told."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """The names in the manifest are read at the start and stay; so do the addresses made of them."""

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._told: dict[str, str] = {}

    def url(self, name: str | None, force: bool = False) -> str:  # noqa: FBT001, FBT002 - Django's
        if force or name is None:
            return str(super().url(name, force))
        if name not in self._told:
            self._told[name] = str(super().url(name))
        return self._told[name]
