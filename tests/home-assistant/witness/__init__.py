"""Lets a test run the recorder's own jobs, at the moments that it chooses.

The recorder's timers are taken off, so that two runs of the same test compile the same periods.
"""

from datetime import timedelta

from homeassistant.components import recorder
from homeassistant.components.recorder.tasks import SynchronizeTask
from homeassistant.util import dt


async def async_setup(hass, _config):
    """Makes a token of an administrator, and the actions `tick` and `nightly`."""
    instance = recorder.get_instance(hass)

    async def written():
        """Waits until the recorder has done everything that was queued before."""
        future = hass.loop.create_future()
        instance.queue_task(SynchronizeTask(future))
        await future

    async def tick(_call):
        """The job of every five minutes, for the time that the clock shows."""
        for timer in ("_periodic_listener", "_nightly_listener"):
            if stop := getattr(instance, timer):
                stop()
                setattr(instance, timer, None)
        await written()
        instance.async_periodic_statistics()
        await written()

    async def nightly(_call):
        """The job of every night, which deletes old states."""
        instance.async_nightly_tasks(dt.now())
        for _ in range(50):
            await written()

    async def make_token():
        user = await hass.auth.async_create_user("Owner", group_ids=["system-admin"])
        token = await hass.auth.async_create_refresh_token(
            user, client_name="test", token_type="long_lived_access_token",
            access_token_expiration=timedelta(days=3650),
        )
        return hass.auth.async_create_access_token(token)

    hass.services.async_register("witness", "tick", tick)
    hass.services.async_register("witness", "nightly", nightly)
    if not await hass.async_add_executor_job(open_token, hass):
        await hass.async_add_executor_job(open_token, hass, await make_token())
    return True


def open_token(hass, token=None):
    """Whether there is a token. If one is given, it is stored."""
    try:
        with open(hass.config.path("token"), "x" if token else "r", encoding="ascii") as file:
            if token:
                file.write(token)
    except FileNotFoundError:
        return False
    return True
