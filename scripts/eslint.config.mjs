// Of the page's modules (addrspace_gdb/views/web) and of what tests do in it; scripts/test runs eslint where npm is.
const browser =
  "document window location history navigator matchMedia getComputedStyle getSelection addEventListener " +
  "requestAnimationFrame setInterval clearInterval ResizeObserver Node Event PointerEvent Image Blob Response " +
  "DecompressionStream URLSearchParams atob innerWidth performance addrspace";

const rules = Object.fromEntries(
  [
    ...["no-undef", "no-unused-vars", "no-var", "prefer-const", "eqeqeq", "no-redeclare", "no-const-assign"],
    ...["no-dupe-keys", "no-dupe-args", "no-dupe-class-members", "no-dupe-else-if", "no-duplicate-case"],
    ...["no-unreachable", "no-fallthrough", "no-empty", "no-cond-assign", "no-constant-condition"],
    ...["no-self-assign", "no-self-compare", "no-unsafe-finally", "no-unsafe-negation", "no-func-assign"],
    ...["no-import-assign", "no-this-before-super", "constructor-super", "getter-return", "use-isnan"],
    ...["valid-typeof", "no-sparse-arrays", "no-loss-of-precision", "no-useless-escape", "no-debugger"],
    ...["no-eval", "no-implied-eval", "no-new-func", "no-script-url", "no-console", "no-prototype-builtins"],
    ...["array-callback-return", "consistent-return"],
  ].map((name) => [name, "error"]),
);

export default [
  {
    rules,
    languageOptions: {
      ecmaVersion: 2024,
      sourceType: "module",
      globals: Object.fromEntries(browser.split(" ").map((name) => [name, "readonly"])),
    },
  },
  {
    files: ["**/page_side.js"],
    languageOptions: { sourceType: "script" },
    rules: { "no-unused-vars": "off" },
  },
];
