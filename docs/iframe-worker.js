// Browsers start no workers for a page that is opened as a file, so that its search would be dead.
// There, this stand-in runs the worker's script in a hidden frame; elsewhere it does nothing.
if (location.protocol === "file:") {
  const load = (target, url) =>
    new Promise((resolve, reject) => {
      const script = target.document.createElement("script");
      Object.assign(script, { src: url, onload: resolve, onerror: reject });
      target.document.head.append(script);
    });

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      Object.assign(this.frame, { hidden: true, title: "Search" });
      document.body.append(this.frame);
      const inside = this.frame.contentWindow;
      inside.document.open(); // else Firefox replaces the frame's document later
      inside.document.write("<!doctype html><html lang=en><head><title>Search</title></head></html>");
      inside.document.close();
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = async (...urls) => {
        for (const each of urls) await load(inside, each);
      };
      this.ready = load(inside, url);
    }

    postMessage(data) {
      const inside = this.frame.contentWindow;
      this.ready.then(() => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
