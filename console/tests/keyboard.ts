// SPDX-License-Identifier: Apache-2.0 OR MIT
// Somebody without a mouse: what is to be used is reached with the tabulator, and has to be reachable.

import { expect, type Locator, type Page } from "@playwright/test";

export class Keyboard {
  constructor(readonly page: Page) {}

  /** Goes on until the focus is there. */
  async reach(what: Locator): Promise<void> {
    await expect(what).toBeVisible({ timeout: 60_000 });
    await expect(what).toBeEnabled({ timeout: 60_000 });
    for (let steps = 0; steps < 120; steps += 1) {
      if (await what.evaluate((element) => element === document.activeElement)) return;
      await this.page.keyboard.press("Tab");
    }
    throw new Error(`the keyboard does not get to ${what.toString()}`);
  }

  async type(where: Locator, text: string): Promise<void> {
    await this.reach(where);
    await this.page.keyboard.press("ControlOrMeta+A");
    await this.page.keyboard.type(text);
  }

  async press(what: Locator, key: "Enter" | "Space" = "Enter"): Promise<void> {
    await this.reach(what);
    await this.page.keyboard.press(key);
  }
}
