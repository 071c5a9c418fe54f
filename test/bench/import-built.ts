/** A module of what `npm run build` made, path from `dist`. tsx would compile the source anew, and wrap its closures. */
export function importBuilt<Module>(path: string): Promise<Module> {
  return import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<Module>;
}
