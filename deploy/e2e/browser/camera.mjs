/**
 * A script for pages, before any of their own: the camera is a small one, of 320 by 180 pixels unless the page insists on more. What is
 * tested is whether pictures arrive; encoding large ones in software would take the machine's time.
 */
export const smallCamera = () => {
	const { prototype } = globalThis.MediaDevices ?? {};
	if (!prototype) return; // the page is not secure
	const native = prototype.getUserMedia;
	prototype.getUserMedia = function getUserMedia(wish) {
		if (!wish?.video) return native.call(this, wish);
		const video = wish.video === true ? {} : wish.video;
		return native.call(this, { ...wish, video: { ...video, width: { ideal: 320 }, height: { ideal: 180 } } });
	};
};

/** A window that takes little painting, which is done in software. */
export const smallWindow = { width: 640, height: 480 };

/** Chromium without its windows, which starts and runs in half the time. */
export const shell = "/usr/bin/chromium-headless-shell";
