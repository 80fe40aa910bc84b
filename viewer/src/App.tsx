// Which page is shown.

import { Frame } from './components/Frame.tsx';
import { Loading } from './components/Loading.tsx';
import { Title } from './components/parts.tsx';
import { ClassesPage } from './pages/Classes.tsx';
import { ComparePage } from './pages/Compare.tsx';
import { GrowthPage } from './pages/Growth.tsx';
import { ObjectPage } from './pages/Object.tsx';
import { ClassPage, ObjectsPage, SearchPage } from './pages/Objects.tsx';
import { Overview } from './pages/Overview.tsx';
import { PackagesPage } from './pages/Packages.tsx';
import { StringsPage } from './pages/Strings.tsx';
import { SuspectsPage } from './pages/Suspects.tsx';
import { TreePage } from './pages/Tree.tsx';
import { useApp } from './state.ts';

const PAGES: Record<string, () => preact.JSX.Element> = {
  overview: Overview,
  tree: TreePage,
  growth: GrowthPage,
  suspects: SuspectsPage,
  objects: ObjectsPage,
  object: ObjectPage,
  classes: ClassesPage,
  strings: StringsPage,
  packages: PackagesPage,
};
/** What only the analyzer can answer. */
const LIVE: Record<string, () => preact.JSX.Element> = { class: ClassPage, search: SearchPage, compare: ComparePage };

export function App() {
  const { report, route, source } = useApp();
  if (report === null) return <Loading />;
  const pages = source.live ? { ...PAGES, ...LIVE } : PAGES;
  const Page = Object.hasOwn(pages, route.page) ? pages[route.page]! : Missing;
  return <Frame><Page /></Frame>;
}

const Missing = () => (
  <>
    <Title>This page is not in the report</Title>
    <p><a href="#/">Overview</a></p>
  </>
);
