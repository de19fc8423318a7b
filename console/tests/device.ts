// SPDX-License-Identifier: Apache-2.0 OR MIT
// Being let in by another device.

import { expect, type Page } from "@playwright/test";

/** The page before one is in asks for another device, and somebody authorizes it there: the code that is shown there. */
export async function asksDevice(page: Page, device: Page, look: (step: string) => Promise<void> = async () => undefined): Promise<string> {
  await page.getByRole("button", { name: "Let another device let you in" }).click();
  await page.getByText("The link", { exact: true }).click();
  const link = (await page.locator("details .mono").textContent()) ?? "";
  await look("ask-device");
  await device.evaluate((hash) => (location.hash = hash), new URL(link).hash);
  await device.getByRole("button", { name: "Authorize" }).click();
  const shown = device.getByLabel("Code", { exact: true });
  await expect(shown).toHaveText(/^\d{3} \d{3}$/);
  await expect(page.getByLabel("Six digits")).toBeFocused({ timeout: 30_000 });
  await look("ask-device-code");
  return ((await shown.textContent()) ?? "").replace(" ", "");
}
