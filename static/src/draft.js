// What was typed and not yet sent, kept in this browser. Passwords are left out: they belong in no store.

const PREFIX = "mchub.draft.";

export class Draft {
  constructor(name) {
    this.key = PREFIX + name;
  }

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  /** Keeps the form; a browser that refuses to store loses the draft, not the page. */
  keep(form) {
    const kept = { ...form, guest_passwd: "", advanced: form.advanced.filter((field) => !field.secret) };
    try {
      localStorage.setItem(this.key, JSON.stringify({ at: new Date().toISOString(), form: kept }));
    } catch (error) {
      console.warn("The draft could not be kept:", error.message);
    }
  }

  drop() {
    localStorage.removeItem(this.key);
  }
}
