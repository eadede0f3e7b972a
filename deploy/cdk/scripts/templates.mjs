// Copies the shipped templates into dist, so that the package holds all that it needs.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
// A file that was renamed leaves nothing behind.
rmSync(dist, { recursive: true, force: true });
for (const folder of ['cloudformation', 'sam']) {
  const from = fileURLToPath(new URL(`../../${folder}/`, import.meta.url));
  mkdirSync(`${dist}templates/${folder}`, { recursive: true });
  for (const name of readdirSync(from).filter((name) => name.endsWith('.yaml'))) {
    const text = readFileSync(`${from}${name}`, 'utf8');
    writeFileSync(`${dist}templates/${folder}/${name}`, name === 'template.yaml' ? withStream(text) : text);
  }
}

// The SAM transform makes the resource FunctionStream of the function's event, and CfnInclude refuses what refers to a
// resource that is not there yet (https://github.com/aws/aws-cdk/issues/19616). So the copy declares it as a parameter,
// which the construct replaces by the reference: nothing of it is left in what is synthesised.
function withStream(text) {
  const begin = '\nParameters:\n';
  if (text.split(begin).length !== 2) {
    throw new Error('sam/template.yaml has no section Parameters where it was');
  }
  return text.replace(begin, `${begin}  FunctionStream: {Type: String}\n`);
}
