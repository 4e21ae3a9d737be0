/**
 * An init script that limits the camera to 320 by 180 pixels, unless the page requires more. The tests check whether video
 * arrives; encoding large frames in software would take too much CPU time.
 */
export const smallCamera = () => {
	const { prototype } = globalThis.MediaDevices ?? {};
	if (!prototype) return; // the page is not a secure context
	const native = prototype.getUserMedia;
	prototype.getUserMedia = function getUserMedia(constraints) {
		if (!constraints?.video) return native.call(this, constraints);
		const video = constraints.video === true ? {} : constraints.video;
		return native.call(this, { ...constraints, video: { ...video, width: { ideal: 320 }, height: { ideal: 180 } } });
	};
};

/** A small window, because painting is done in software. */
export const smallWindow = { width: 640, height: 480 };

/** Chromium without a user interface, which needs half the time to start and to run. */
export const shell = "/usr/bin/chromium-headless-shell";
