// transpile.mjs IN OUT: types off, nothing else; as CommonJS, which is what every one of its packages can be loaded as.
import { readFileSync, writeFileSync } from 'node:fs';
import ts from 'typescript';

const [, , input, output] = process.argv;
const compilerOptions = { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022, esModuleInterop: true };
const { outputText, diagnostics } = ts.transpileModule(readFileSync(input, 'utf8'), { compilerOptions, reportDiagnostics: true });
if (diagnostics.length > 0) {
  console.error(ts.formatDiagnostics(diagnostics, { getCanonicalFileName: String, getCurrentDirectory: () => '', getNewLine: () => '\n' }));
  process.exit(1);
}
writeFileSync(output, outputText);
