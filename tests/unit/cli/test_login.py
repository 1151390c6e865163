import click
import pytest

from vigil.cli.login import open_channel


@pytest.mark.parametrize("address", ["192.0.2.1:50051", "vigil.example:50051", "dns:///x", "x"])
def test_a_token_does_not_cross_a_network_in_plain_text(address: str) -> None:
    with pytest.raises(click.UsageError, match="set VIGIL_CA"):
        open_channel(address, {"VIGIL_TOKEN": "vigil_canary"}, ())


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:1", "[::1]:1", "unix:/run/v"])
def test_a_token_is_sent_on_this_machine(address: str) -> None:
    open_channel(address, {"VIGIL_TOKEN": "vigil_canary"}, ()).close()


def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(click.UsageError, match=r"/none\.pem cannot be read"):
        open_channel("vigil.example:1", {"VIGIL_CA": "/none.pem"}, ())
